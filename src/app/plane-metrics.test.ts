import { expect, test } from "vitest";
import { MetricsConfig } from "../config/schema.ts";
import {
  add,
  addAnswer,
  addTime,
  newBlock,
  NO_FIGURES,
  SLOT,
  sumFigures,
  type PlaneFigures,
} from "../dataplanes/figures.ts";
import { METRICS } from "./metric-table.ts";
import { PlaneMetrics } from "./plane-metrics.ts";

function figures(services: readonly string[], requests = 1): PlaneFigures {
  const block = newBlock();
  for (let at = 0; at < requests; at += 1) addAnswer(block, 204, "app");
  addTime(block, SLOT.duration, 0.02);
  add(block, SLOT.bytesOut, 7);
  return { ...NO_FIGURES, services: services.map((service) => [service, Array.from(block)]) };
}

const metrics = (config: object = {}) => new PlaneMetrics(MetricsConfig.parse(config));

test("tells of each service its answers by class and source, its bytes, and how long answers took", () => {
  const text = metrics().text(figures(["local/nb/web"]));
  expect(text).toContain('taskgate_service_requests_total{service="local/nb/web",class="2xx",source="app"} 1\n');
  expect(text).toContain('taskgate_service_bytes_total{service="local/nb/web",direction="out"} 7\n');
  expect(text).toContain('taskgate_service_request_duration_seconds_bucket{service="local/nb/web",le="0.01"} 0\n');
  expect(text).toContain('taskgate_service_request_duration_seconds_bucket{service="local/nb/web",le="0.025"} 1\n');
  expect(text).toContain('taskgate_service_request_duration_seconds_bucket{service="local/nb/web",le="+Inf"} 1\n');
  expect(text).toContain('taskgate_service_request_duration_seconds_count{service="local/nb/web"} 1\n');
});

test("has so many services and no more, and sums the rest as other", () => {
  const many = Array.from({ length: 1000 }, (_, at) => `local/t${String(at)}/web`);
  const text = metrics({ services: 3 }).text(figures(many));
  const named = new Set(text.match(/service="[^"]+"/g));
  expect(named).toEqual(
    new Set(['service="local/t0/web"', 'service="local/t1/web"', 'service="local/t2/web"', 'service="other"']),
  );
  expect(text).toContain('taskgate_service_requests_total{service="other",class="2xx",source="app"} 997\n');
});

test("lets a service keep its series while it is there, and gives the place of one that went to another", () => {
  const told = metrics({ services: 2 });
  told.text(figures(["a/a/a", "b/b/b", "c/c/c"]));
  const later = told.text(figures(["c/c/c", "d/d/d", "b/b/b"]));
  expect(new Set(later.match(/service="[^"]+"/g))).toEqual(
    new Set(['service="b/b/b"', 'service="c/c/c"', 'service="other"']),
  );
});

test("says nothing of services where that is not wanted", () => {
  expect(metrics({ perService: false }).text(figures(["local/nb/web"]))).not.toContain("taskgate_service_");
});

test("spells names that Prometheus would stumble over so that it does not", () => {
  expect(metrics().text(figures(['a/"\\\n/c']))).toContain('service="a/\\"\\\\\\n/c"');
});

test("tells only metrics that the table has, each with its help and type once", () => {
  const text = metrics().text({
    ...figures(["local/nb/web"]),
    answers: [["http 200 app", 1]],
    refusals: [["timeout", 1]],
    limited: [["requests", 1]],
  });
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]);
  expect(new Set(types.map(([name]) => name)).size).toBe(types.length);
  for (const [name, type] of types) expect(METRICS[name as keyof typeof METRICS].type).toBe(type);
  const told = new Set([...text.matchAll(/^([a-z_]+?)(_bucket|_sum|_count)?[{ ]/gm)].map(([, name]) => name));
  for (const name of told) expect(types.map(([typed]) => typed)).toContain(name);
  const table = Object.keys(METRICS).filter(
    (name) => !/^(taskgate_(table|audit|login|source|leading|envoys|reach)|process|nodejs)_?/.test(name),
  );
  expect(types.map(([name]) => name).sort()).toEqual(table.sort());
});

test("adds up what several processes counted, also after a way through JSON", () => {
  const one = { ...figures(["a/a/a"], 2), answers: [["http 200 app", 2]] as const, dropped: { logLines: 1, spans: 0 } };
  const other = { ...figures(["a/a/a", "b/b/b"], 3), answers: [["http 200 app", 5]] as const };
  const text = metrics().text(sumFigures([one, JSON.parse(JSON.stringify(other)) as PlaneFigures]));
  expect(text).toContain('taskgate_service_requests_total{service="a/a/a",class="2xx",source="app"} 5\n');
  expect(text).toContain('taskgate_service_requests_total{service="b/b/b",class="2xx",source="app"} 3\n');
  expect(text).toContain('taskgate_requests_total{kind="http",status="200",source="app"} 7\n');
  expect(text).toContain("taskgate_access_log_dropped_total 1\n");
});
