import { startBackends } from "./backends/backends.ts";
import { pageLoad } from "./http.ts";
import { hold } from "./loads/hold.ts";
import { inTurns } from "./loads/in-turns.ts";
import { checkMachine, cpuOf, describeMachine, loadAverage } from "./machine.ts";
import { asRows, type Figure, keep, openScope, prepare } from "./peers/compare.ts";
import type { Running } from "./peers/peer.ts";
import { median, type Suite } from "./suite.ts";

const OURS: ReadonlySet<string> = new Set(["taskgate", "taskgate-login", "taskgate-bare-login"]);
const YARDSTICK = "taskgate";
const SOCKETS = 500;
const WARM_UP_SECONDS = 5;

/**
 * What asking for a login costs: the same page with and without, in turns of a tenth of a second, and WebSockets that are opened. What is asked
 * about is a few hundredths, so each round is compared within itself: a ratio is the median of those of all rounds.
 */
export const benchLogin: Suite = async (say, options) => {
  checkMachine();
  const { rounds = 9, seconds = 3 } = options;
  const scope = openScope();
  try {
    const peers = await prepare(say, options, { suite: "login", carries: ({ name }) => OURS.has(name) });
    say(describeMachine());
    const backends = await startBackends(["http"]);
    const field = [];
    for (const peer of peers) {
      const running = await peer.start(backends, scope.folder);
      field.push({ peer, running, figures: new Map<string, Figure[]>() });
    }
    await throughputs(field, WARM_UP_SECONDS);
    for (let round = 1; round <= rounds; round++) {
      say(`round ${round} of ${rounds}, load average ${loadAverage()}`);
      // Nobody is always the first.
      const inOrder = round % 2 === 0 ? field.toReversed() : field;
      const found = await throughputs(inOrder, seconds);
      for (const [index, { peer, running, figures }] of inOrder.entries()) {
        const own = [...(found[index] ?? []), await opening(running)];
        say(`  ${peer.name}: ${own.map(({ value, unit }) => `${value.toPrecision(3)} ${unit}`).join(", ")}`);
        keep(figures, own);
      }
    }
    return asRows(field, YARDSTICK, ratioByRound);
  } finally {
    scope.close();
  }
};

/** `seconds`: of each. */
async function throughputs(field: readonly { readonly running: Running }[], seconds: number): Promise<Figure[][]> {
  const turns = field.map(({ running }) => ({ pid: running.pid, load: pageLoad(running, seconds * field.length) }));
  return (await inTurns(turns)).map(({ requests, seconds: took, cpu }) => [
    { of: "", value: requests / took, unit: "requests/s" },
    { of: "per CPU second", value: requests / cpu, unit: "requests/CPU-s" },
  ]);
}

async function opening(running: Running): Promise<Figure> {
  const { cpu } = await cpuOf(running.pid, () => hold("sockets", running, SOCKETS, () => Promise.resolve()));
  return { of: "WebSockets opened, per CPU second", value: SOCKETS / cpu, unit: "opens/CPU-s" };
}

function ratioByRound(own: readonly Figure[], others: readonly Figure[]): number {
  return median(own.map(({ value }, round) => value / (others[round]?.value ?? NaN)));
}
