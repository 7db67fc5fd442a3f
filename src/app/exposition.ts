import { BOUNDS, type HistogramFigures } from "../dataplanes/figures.ts";
import { METRICS, type MetricName } from "./metric-table.ts";

type Labels = Readonly<Record<string, string>>;

/** Prometheus' text format 0.0.4, of figures that are counted elsewhere: one family after the other, in the order they are given. */
export class Exposition {
  readonly #families = new Map<MetricName, string[]>();

  add(name: MetricName, labels: Labels, value: number): void {
    this.#lines(name).push(`${name}${labelText(labels)} ${String(value)}`);
  }

  histogram(name: MetricName, labels: Labels, { sum, counts }: HistogramFigures): void {
    const lines = this.#lines(name);
    let total = 0;
    for (const [at, count] of counts.entries()) {
      total += count;
      const le = at < BOUNDS.length ? String(BOUNDS[at]) : "+Inf";
      lines.push(`${name}_bucket${labelText({ ...labels, le })} ${String(total)}`);
    }
    lines.push(`${name}_sum${labelText(labels)} ${String(sum)}`, `${name}_count${labelText(labels)} ${String(total)}`);
  }

  get text(): string {
    return [...this.#families.values()].flat().join("\n") + "\n";
  }

  #lines(name: MetricName): string[] {
    let lines = this.#families.get(name);
    if (lines !== undefined) return lines;
    lines = [`# HELP ${name} ${METRICS[name].help}`, `# TYPE ${name} ${METRICS[name].type}`];
    this.#families.set(name, lines);
    return lines;
  }
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escape(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escape(value: string): string {
  return value.replace(/[\\"\n]/g, (char) => (char === "\n" ? "\\n" : `\\${char}`));
}
