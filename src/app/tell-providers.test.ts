import { expect, test, vi } from "vitest";
import type { LiveEvent, TaskView } from "../api/wire.ts";
import type { Told } from "../model/index.ts";
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
      staleSince: null,
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

test("a provider that listens hears of its own: all at first, then what changed, by its own ids", () => {
  const heard: Told[] = [];
  const start = () => Promise.reject(new Error("not started here"));
  const leading = new AbortController().signal;
  const tell = (told: Told, signal: AbortSignal) => {
    expect(signal).toBe(leading);
    heard.push(told);
  };
  const providers: Provider[] = [
    { name: "mine", start, tell },
    { name: "deaf", start },
  ];
  let say: (event: LiveEvent) => void = () => undefined;
  const subscribe = (listener: typeof say): Disposable => {
    say = listener;
    return { [Symbol.dispose]: () => (say = () => undefined) };
  };
  const lastUsed = () => new Map([["mine/a/web", 42]]);
  const telling = tellProviders({ providers, subscribe, lastUsed }, leading);
  const problem = (subject: string) => ({ subject, code: "task_invalid", message: "…" });
  const change = { kind: "change", set: [], removed: [], problems: [problem("mine/x")] } as const;
  say({
    kind: "tasks",
    tasks: [view("mine", "a", "http://a"), view("deaf", "b", "http://b")],
    problems: [problem("mine/x"), problem("minerals/x"), problem("deaf/x")],
  });
  say({ ...change, set: [view("deaf", "b", "http://b2")] });
  say({ ...change, set: [view("mine", "a", "http://a2")] });
  say({ ...change, problems: [] });
  say({ ...change, removed: ["deaf/b", "mine/a"], problems: [] });
  telling[Symbol.dispose]();
  say({ ...change, set: [view("mine", "a", "http://a3")] });
  expect(heard.map(({ tasks, problems }) => [[...tasks.keys()], problems.map(({ subject }) => subject)])).toEqual([
    [["a"], ["mine/x"]],
    [["a"], ["mine/x"]],
    [[], []],
    [["a"], []],
  ]);
  expect(heard[0]?.tasks.get("a")).toEqual({
    services: { web: { urls: ["http://a"], health: "healthy", lastUsed: 42 } },
    problems: [{ subject: "mine/a", code: "name_taken", message: "…" }],
  });
  expect(heard[1]?.tasks.get("a")?.services.web?.urls).toEqual(["http://a2"]);
  expect(heard[3]?.tasks.get("a")).toBe(null);
});

test("a provider hears that this gate leads though there is nothing to tell", () => {
  const tell = vi.fn();
  const providers = [{ name: "mine", start: () => Promise.reject(new Error("not started here")), tell }];
  const leading = new AbortController().signal;
  const subscribe = (listener: (event: LiveEvent) => void): Disposable => {
    listener({ kind: "tasks", tasks: [], problems: [] });
    return { [Symbol.dispose]: () => undefined };
  };
  tellProviders({ providers, subscribe, lastUsed: () => new Map() }, leading);
  expect(tell).toHaveBeenCalledExactlyOnceWith({ tasks: new Map(), problems: [] }, leading);
});
