import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseCommandLine } from "./command-line.ts";

describe("parseCommandLine", () => {
  test.each([
    ["jupyter-lab --port 1", "jupyter-lab", ["--port", "1"]],
    ["/venv/bin/python3.11 /venv/bin/jupyter-lab --port 1", "jupyter-lab", ["--port", "1"]],
    ["python3 -m http.server 8000", "http.server", ["8000"]],
    ["python3 -u -W ignore -X dev -m streamlit run app.py", "streamlit", ["run", "app.py"]],
    ["python3 -um uvicorn app:app", "uvicorn", ["app:app"]],
    ["python3 -c print(1)", "python3", ["-c", "print(1)"]],
    ["python3 My_App.PY x", "my_app.py", ["x"]],
    ["python3 manage.py runserver", "manage", ["runserver"]],
    ["python3", "python3", []],
    ["node --import ./hook.js -r dotenv node_modules/.bin/vite --port 1", "vite", ["--port", "1"]],
    ["node node_modules/vite/bin/vite.js", "vite", []],
    ["node -e server()", "node", ["-e", "server()"]],
    ["java -cp a:b -Xmx1g -Da=b org.example.Main --port 1", "org.example.main", ["--port", "1"]],
    ["java -Xmx1g -jar /opt/app.jar run", "app", ["run"]],
    ["bash -o pipefail run.sh a", "run", ["a"]],
    ["bash -lc exec true", "bash", ["-lc", "exec", "true"]],
  ])("reads %s", (text, name, args) => {
    expect(parseCommandLine(text.split(" "))).toMatchObject({ name, args });
  });

  test.each([
    ["sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", "sshd"],
    ["redis-server *:6379", "redis-server"],
    ["/usr/bin/redis-server 127.0.0.1:6379", "redis-server"],
    ["gunicorn: master [app:app]", "gunicorn"],
    ["ray::IDLE", "ray::idle"],
    ["", ""],
  ])("reads a process that named itself %j", (title, name) => {
    expect(parseCommandLine([title]).name).toBe(name);
  });

  test("reads any argv, and keeps it", () => {
    const word = fc.oneof(fc.string(), fc.constantFrom("python3", "java", "node", "-m", "-c", "-jar", "-cp", "--"));
    fc.assert(
      fc.property(fc.array(word), (argv) => {
        const line = parseCommandLine(argv);
        expect(line.argv).toBe(argv);
        expect(line.args.length).toBeLessThanOrEqual(argv.join(" ").split(" ").length);
      }),
    );
  });
});
