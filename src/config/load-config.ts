import { checkConfig, type Sections } from "./check-config.ts";
import { checkFiles } from "./check-files.ts";
import { type ConfigProblem, formatConfigProblems, type Place, problemAt } from "./config-problem.ts";
import { describeIssue, type Finding } from "./describe-issue.ts";
import type { ConfigDocument } from "./read-document.ts";
import type { KubernetesProviderConfig } from "./provider-config.ts";
import { applySetting, readConfigFile, readEnvironment, readFlags, type Setting } from "./read-layers.ts";
import { expandDetermined, NOTHING_DETERMINED } from "./determined/expand-determined.ts";
import { Config } from "./schema.ts";
import { valueAt } from "./value-at.ts";

/** Where a configuration comes from. */
export interface ConfigSources {
  /** Path of the file, YAML or JSON by its content; absent: `TASKGATE_CONFIG`, else none. */
  readonly file?: string | undefined;
  /** `TASKGATE_LISTEN_ADDRESS` and the like; `process.env` fits. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** By key, `listen.address`: what the command line says, as text. */
  readonly flags?: Readonly<Record<string, string>>;
}

/** What came of them. */
export interface Loaded {
  /** Deeply frozen. null: there are problems of severity `error`. */
  readonly config: Config | null;
  /** All of them, warnings included; at most so many that a person may want to read them. */
  readonly problems: readonly ConfigProblem[];
}

const MOST_PROBLEMS = 50;

/** To find a place takes time by the length of the file, so not every one of very many findings gets one. */
const MOST_PLACED = 500;

/** Defaults, then the file, the environment and the flags, each over the one before. Never throws for bad input; reads files. */
export function loadConfig(sources: ConfigSources): Loaded {
  const fromEnvironment = sources.environment.TASKGATE_CONFIG;
  const file = sources.file ?? (fromEnvironment === "" ? undefined : fromEnvironment);
  return layConfig(file === undefined ? null : readConfigFile(file), sources);
}

/** The same with a file that is read already; null: none. */
export function layConfig(document: ConfigDocument | null, sources: Omit<ConfigSources, "file">): Loaded {
  const environment = readEnvironment(sources.environment);
  const settings = [...environment.settings, ...readFlags(sources.flags ?? {})];
  const value = settings.reduce<unknown>((now, one) => applySetting(now, one.path, one.value), document?.value);

  const { config, findings, elsewhere } = parse(value ?? {}, document?.locate([]).file ?? null);
  const problems = [
    ...(document?.problems ?? []),
    ...environment.problems,
    ...elsewhere,
    ...findings.slice(0, MOST_PLACED).map((finding) => toProblem(finding, placeOf(finding, settings, document))),
  ];
  const notPlaced = Math.max(findings.length - MOST_PLACED, 0);
  const failed = problems.some((problem) => problem.severity === "error");
  return { config: failed || config === null ? null : deepFreeze(config), problems: arrange(problems, notPlaced) };
}

interface ParsedConfig {
  readonly config: Config | null;
  readonly findings: readonly Finding[];
  /** Of files that the configuration names. */
  readonly elsewhere: readonly ConfigProblem[];
}

/** `file`: that the value is of; null: none. */
function parse(value: unknown, file: string | null): ParsedConfig {
  const parsed = Config.safeParse(value);
  const valid = parsed.success ? parsed.data : validSections(value);
  const issues = parsed.success ? [] : parsed.error.issues;
  const { determined } = valid;
  const isSaid = determined !== undefined && valueAt(value, ["determined"]) !== undefined;
  const expanded = isSaid ? expandDetermined(determined, value, file) : NOTHING_DETERMINED;
  const { providers, findings: taken } = joinProviders(valid, expanded.providers);
  const findings = [
    ...issues.flatMap((issue) => describeIssue(issue, (path) => valueAt(value, path))),
    ...expanded.findings,
    ...taken,
    ...checkConfig({ ...valid, providers }),
    ...checkFiles({ ...valid, providers }),
  ];
  return { config: parsed.success ? { ...parsed.data, providers } : null, findings, elsewhere: expanded.problems };
}

/** Those of Determined's clusters after those that are configured. */
function joinProviders({ files = [], providers = [] }: Sections, more: readonly KubernetesProviderConfig[]) {
  const names = new Set([...files, ...providers].map(({ name }) => name));
  const free = more.filter(({ name }) => !names.has(name));
  const findings = more
    .filter(({ name }) => names.has(name))
    .map(({ name }): Finding => {
      const message = `there is a provider ${name} already, which is the name of a cluster of Determined's; expected another name there`;
      return { path: ["determined"], key: "determined", message };
    });
  return { providers: [...providers, ...free], findings };
}

/** What can be checked though something else is wrong, so that all problems come at once. */
function validSections(value: unknown): Sections {
  const valid = Object.entries(Config.shape).flatMap(([name, schema]) => {
    const parsed = schema.safeParse(valueAt(value, [name]));
    return parsed.success ? [[name, parsed.data] as const] : [];
  });
  return Object.fromEntries(valid);
}

/** The last who said it. */
function placeOf(finding: Finding, settings: readonly Setting[], document: ConfigDocument | null): Place {
  const setting = settings.findLast((one) => one.path.every((part, index) => part === finding.path[index]));
  if (setting !== undefined) return setting.place;
  if (document === null) return { file: "defaults", line: null, column: null };
  const place = finding.atKey ? document.locateKey(finding.path) : document.locate(finding.path);
  // Of a section that the file does not hold, no line of it can say more than its name.
  const [section] = finding.path;
  const said = section === undefined || valueAt(document.value, [section]) !== undefined;
  return said ? place : { ...place, line: null, column: null };
}

function toProblem(finding: Finding, place: Place): ConfigProblem {
  const { key, message, expected = null, suggestion = null, severity = "error" } = finding;
  return problemAt(place, { key, message, expected, suggestion, severity });
}

/** Each once, in the order of the file, and no more than a person may want to read. */
function arrange(problems: readonly ConfigProblem[], others: number): readonly ConfigProblem[] {
  const once = [
    ...new Map(problems.map((problem) => [formatConfigProblems([{ ...problem, suggestion: null }]), problem])).values(),
  ];
  const line = (problem: ConfigProblem): number => problem.line ?? Infinity;
  once.sort((a, b) => (line(a) === line(b) ? 0 : line(a) - line(b)));
  const rest = once.length + others - MOST_PROBLEMS;
  const [first] = once;
  if (rest <= 0 || first === undefined) return once;
  const place = { file: first.file, line: null, column: null };
  return [...once.slice(0, MOST_PROBLEMS), problemAt(place, { key: "", message: `${rest} more problems` })];
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inside of Object.values(value)) deepFreeze(inside);
  }
  return value;
}
