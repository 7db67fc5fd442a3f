import { parser } from "@prometheus-io/lezer-promql";

/** What one expression of PromQL asks for. */
export interface Asked {
  readonly metrics: readonly { readonly name: string; readonly labels: readonly string[] }[];
  /** By which it groups, sums up or matches. */
  readonly grouped: readonly string[];
}

/** Throws where Prometheus' own grammar finds a mistake. */
export function parsePromql(expression: string): Asked {
  const metrics: { name: string; labels: string[] }[] = [];
  const grouped: string[] = [];
  const textOf = ({ from, to }: { readonly from: number; readonly to: number }): string => expression.slice(from, to);
  const path: string[] = [];
  parser.parse(expression).iterate({
    enter(node) {
      if (node.type.isError) throw new Error(`no PromQL at ${String(node.from)}: ${expression}`);
      if (node.name === "VectorSelector") metrics.push({ name: "", labels: [] });
      if (node.name === "Identifier" && path.at(-1) === "VectorSelector") metrics.at(-1)!.name = textOf(node);
      if (node.name === "LabelName") {
        if (path.includes("LabelMatchers")) metrics.at(-1)!.labels.push(textOf(node));
        else grouped.push(textOf(node));
      }
      path.push(node.name);
    },
    leave: () => void path.pop(),
  });
  return { metrics, grouped };
}
