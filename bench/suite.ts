/** One measured figure. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** Of the value to what it should be, or to who it is compared with (see README.md for which); null: nothing to compare with. */
  readonly ratio: number | null;
}

/** What the command line says. */
export interface SuiteOptions {
  /** 1 to 100. */
  readonly rounds?: number;
  /** Of each measurement, 1 to 60. */
  readonly seconds?: number;
  /** Who is measured; everybody where it is missing. Suites without peers take no notice. */
  readonly only?: readonly string[];
  /** Build what takes minutes, where it is not there yet. */
  readonly build?: boolean;
}

/** Measures, and says what it is doing as it goes. */
export type Suite = (say: (line: string) => void, options: SuiteOptions) => readonly Row[] | Promise<readonly Row[]>;

/** The value in the middle; of an even number of them the upper one. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value that `share` (0 to 1) of the others are below. NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}
