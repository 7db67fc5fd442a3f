import { colorsFor, note, type Terminal } from "./terminal.ts";

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const FRAME_MS = 80;
/** Shorter work says nothing. */
const QUIET_MS = 700;

/** Something that goes on. Disposing takes it off the screen. */
export interface Progress extends Disposable {
  /** Says what it is at now. */
  update(message: string): void;
}

/**
 * Shows on standard error that something goes on: a spinner with seconds where somebody looks, else one line per message. Nothing at all for
 * what is over in less than a second. Dispose it before anything else is printed.
 */
export function startProgress(terminal: Terminal, message: string): Progress {
  return terminal.stderrIsTty ? startSpinner(terminal, message) : startLines(terminal, message);
}

function startSpinner(terminal: Terminal, first: string): Progress {
  const colors = colorsFor(terminal, "stderr");
  const startedAt = performance.now();
  let message = first;
  let frame = 0;
  const draw = (): void => {
    const elapsed = performance.now() - startedAt;
    if (elapsed < QUIET_MS) return;
    const seconds = elapsed < 2000 ? "" : colors.dim(` ${String(Math.round(elapsed / 1000))} s`);
    const text = message.slice(0, Math.max(10, terminal.columns - 12));
    terminal.stderr.write(`\r\x1b[K${colors.cyan(FRAMES[frame++ % FRAMES.length] ?? "")} ${text}${seconds}`);
  };
  const timer = setInterval(draw, FRAME_MS);
  return {
    update: (next) => void (message = next),
    [Symbol.dispose]() {
      clearInterval(timer);
      if (frame > 0) terminal.stderr.write("\r\x1b[K");
    },
  };
}

function startLines(terminal: Terminal, first: string): Progress {
  let message = first;
  let said = false;
  const say = (): void => {
    said = true;
    note(terminal, `${message} …`);
  };
  const timer = setTimeout(say, QUIET_MS);
  return {
    update(next) {
      if (next === message) return;
      message = next;
      if (said) say();
    },
    [Symbol.dispose]() {
      clearTimeout(timer);
    },
  };
}
