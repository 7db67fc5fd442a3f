import type { Opening, Task } from "../model/index.ts";

/** Who else may use the tasks that all of its patterns fit: the administrator's word. In patterns `*` stands for any text. */
export interface AccessRule {
  readonly provider?: string | undefined;
  readonly kind?: string | undefined;
  /** Of the task. */
  readonly name?: string | undefined;
  readonly service?: string | undefined;
  readonly access: Opening["access"];
}

/** What rules give to one service. */
export type RuleLookup = (provider: string, task: Task, service: string) => readonly Opening["access"][];

const NOTHING: readonly Opening["access"][] = Object.freeze([]);

/** Rules in the form that builds ask them in. */
export function compileRules(rules: readonly AccessRule[]): RuleLookup {
  if (rules.length === 0) return () => NOTHING;
  const compiled = rules.map(({ provider, kind, name, service, access }) => ({
    ...{ provider: pattern(provider), kind: pattern(kind), name: pattern(name), service: pattern(service), access },
  }));
  return (provider, task, service) => {
    const fitting = compiled.filter(
      (rule) =>
        rule.provider.test(provider) &&
        rule.kind.test(task.kind) &&
        rule.name.test(task.name) &&
        rule.service.test(service),
    );
    return fitting.length === 0 ? NOTHING : fitting.map((rule) => rule.access);
  };
}

function pattern(text = "*"): RegExp {
  const parts = text.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "su");
}
