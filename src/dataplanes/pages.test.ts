import { expect, test } from "vitest";
import { formFor, renderNotice, type Form, type Notice } from "./pages.ts";
import { createHead } from "./embedded/testing/create-head.ts";

const form = (fields: readonly string[], version = "1.1", method = "GET") =>
  formFor(createHead({ method, host: "a", path: "/", peer: "::1", secure: false }, fields), version);

test("answers in the form that was asked for", () => {
  const cases: readonly [Form, readonly string[], string?, string?][] = [
    ["html", ["accept", "text/html,application/xhtml+xml,*/*;q=0.8"]],
    ["json", ["accept", "application/json"]],
    ["json", ["accept", "application/problem+json"]],
    ["json", ["accept", "text/html", "x-requested-with", "XMLHttpRequest"]],
    ["text", ["accept", "*/*"]],
    ["text", []],
    ["json", [], "1.1", "CONNECT"],
    ["grpc", ["content-type", "application/grpc+proto"], "2"],
    ["text", ["content-type", "application/grpc"], "1.1"],
  ];
  for (const [expected, fields, version, method] of cases) expect(form(fields, version, method)).toBe(expected);
});

const HOSTILE: Notice = {
  status: 503,
  code: "starting",
  title: "<script>alert(1)</script>",
  message: `"quoted" & 'single' é \ud800`,
  lines: ["</pre><script>", "\u001b[31mred\u0007"],
  retryAfterSeconds: 3,
};

test("shows what is to be typed as such on a page, and between backticks elsewhere", () => {
  const notice = {
    status: 404,
    code: "unknown_host",
    title: "Nothing is here",
    message: "`taskgate ps` lists <yours>.",
  };
  expect(renderNotice(notice, "html").body).toContain("<p><code>taskgate ps</code> lists &lt;yours&gt;.</p>");
  expect(renderNotice(notice, "text").body).toContain(notice.message);
});

test("escapes whatever a job or a visitor put into the words of a page", () => {
  const { body, fields } = renderNotice(HOSTILE, "html");
  expect(body).not.toContain("<script>");
  expect(body.match(/<pre/g)).toHaveLength(1);
  expect(body).toContain("&quot;quoted&quot; &amp; &#39;single&#39;");
  expect(body).toContain('<meta http-equiv="refresh" content="3">');
  expect(body).not.toMatch(/src=|href=|https?:/);
  expect(fields.join()).toContain("default-src 'none'");
});

test("lets no control character of a log reach a terminal", () => {
  expect(renderNotice(HOSTILE, "text").body).not.toMatch(/[^\P{Cc}\n]/u);
});

test("says the same in JSON and gRPC, in fields that HTTP can carry", () => {
  const json = renderNotice(HOSTILE, "json");
  expect(JSON.parse(json.body)).toEqual({
    error: { code: "starting", message: HOSTILE.message, lines: HOSTILE.lines },
  });
  const grpc = renderNotice(HOSTILE, "grpc");
  expect([grpc.status, grpc.body]).toEqual([200, ""]);
  const value = (name: string) => grpc.fields[grpc.fields.indexOf(name) + 1] ?? "";
  expect(value("grpc-status")).toBe("14");
  expect(value("grpc-message")).toMatch(/^[ -~]*$/);
  expect(decodeURIComponent(value("grpc-message"))).toContain(`"quoted" & 'single' é`);
});

test.each([
  [401, "16"],
  [403, "7"],
  [404, "12"],
  [501, "12"],
  [502, "14"],
  [503, "14"],
  [504, "14"],
  [421, "2"],
  [400, "13"],
])("maps %i to gRPC status %s", (status, expected) => {
  const { fields } = renderNotice({ status, code: "x", title: "x", message: "x" }, "grpc");
  expect(fields[fields.indexOf("grpc-status") + 1]).toBe(expected);
});
