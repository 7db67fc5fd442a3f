import { expect, test } from "vitest";
import type { LiveEvent, TaskView } from "../api/wire.ts";
import type { TaskStatus } from "../model/index.ts";
import type { Provider } from "../providers/provider.ts";
import { tellProviders } from "./tell-providers.ts";

function view(provider: string, name: string, url: string): TaskView {
  return {
    ...{
      name,
      id: `${provider}/${name}`,
      provider,
      kind: "test",
      owner: null,
      state: "running",
      reason: null,
      startedAt: null,
    },
    ...{
      stale: false,
      controllable: false,
      manageable: true,
      removable: false,
      problems: [{ subject: `${provider}/${name}`, code: "name_taken", message: "…" }],
    },
    services: [
      {
        ...{
          name: "web",
          protocol: "http",
          url,
          host: "h",
          port: 1,
          dial: "127.0.0.1",
          forward: "h",
          health: "healthy",
        },
        ...{ anyone: "nobody", login: true, sharedWith: [], replicas: [] },
      },
    ],
  };
}

test("a provider that listens hears of its own tasks: all at first, then what changed, by its own ids", () => {
  const heard: ReadonlyMap<string, TaskStatus>[] = [];
  const start = () => Promise.reject(new Error("not started here"));
  const providers: Provider[] = [
    { name: "mine", start, tell: (changed) => void heard.push(changed) },
    { name: "deaf", start },
  ];
  let say: (event: LiveEvent) => void = () => undefined;
  const telling = tellProviders({
    providers,
    subscribe: (listener) => {
      say = listener;
      return { [Symbol.dispose]: () => (say = () => undefined) };
    },
    lastUsed: () => new Map([["mine/a/web", 42]]),
  });
  say({ kind: "tasks", tasks: [view("mine", "a", "http://a"), view("deaf", "b", "http://b")], problems: [] });
  say({ kind: "change", set: [view("deaf", "b", "http://b2")], removed: [], problems: [] });
  say({ kind: "change", set: [view("mine", "a", "http://a2")], removed: [], problems: [] });
  telling[Symbol.dispose]();
  say({ kind: "change", set: [view("mine", "a", "http://a3")], removed: [], problems: [] });
  expect(heard.map((changed) => [...changed.keys()])).toEqual([["a"], ["a"]]);
  expect(heard[0]?.get("a")).toEqual({
    services: { web: { urls: ["http://a"], health: "healthy", lastUsed: 42 } },
    problems: [{ subject: "mine/a", code: "name_taken", message: "…" }],
  });
  expect(heard[1]?.get("a")?.services.web?.urls).toEqual(["http://a2"]);
});
