import { cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { debianProgram } from "../testbed/debian-program.ts";
import { stageBase, stageNode } from "../testbed/kubernetes/image-contents.ts";
import { runProgram } from "../testbed/run-program.ts";

const BASE = "localhost/base:1";
const IMAGE = "localhost/taskgate:1";
/** No registry of images is asked: the base is made of this machine's Node and npm, and a shell. */
const BASE_FILE = `FROM scratch
COPY . /
ENV PATH=/usr/local/bin:/usr/bin:/bin NODE_EXTRA_CA_CERTS=/etc/ssl/own.crt
`;

let folder: string;
let buildah: (args: readonly string[]) => Promise<string>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "taskgate-image-"));
  const program = debianProgram("buildah", ["/usr/bin/buildah"]);
  const storage = ["--root", join(folder, "store"), "--runroot", join(folder, "run"), "--storage-driver", "vfs"];
  buildah = (args) => runProgram(program, [...storage, ...args]);
  await stageBuilder(join(folder, "base"));
  writeFileSync(join(folder, "Base"), BASE_FILE);
  await buildah(["bud", "--quiet", "--isolation=chroot", "-f", join(folder, "Base"), "-t", BASE, join(folder, "base")]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Minutes: all dependencies are fetched, and all is compiled. */
test("the build file makes an image that runs taskgate, as nobody in particular, without what it was built with", async () => {
  const registry = registryFiles().flatMap(([from, to]) => ["--volume", `${from}:${to}:ro`]);
  const how = ["--isolation=chroot", "--network=host", "--layers", ...registry];
  const what = [`--build-arg=BASE=${BASE}`, "--build-arg=VERSION=7", "-f", "Dockerfile", "-t", IMAGE, "."];
  await buildah(["bud", "--quiet", ...how, ...what]);
  const told = await buildah(["inspect", "--type=image", IMAGE]);
  const { OCIv1 } = JSON.parse(told) as { readonly OCIv1: { readonly config: unknown } };
  expect(OCIv1.config).toMatchObject({
    User: "10001:10001",
    Entrypoint: ["/opt/taskgate/bin/taskgate"],
    StopSignal: "SIGTERM",
    Labels: { "org.opencontainers.image.version": "7" },
  });
  const container = (await buildah(["from", "--pull-never", IMAGE])).trim();
  const run = (...command: readonly string[]): Promise<string> =>
    buildah(["run", "--isolation=chroot", container, "--", ...command]);
  expect(await run("/opt/taskgate/bin/taskgate", "version")).toMatch(/^taskgate \d/);
  expect(await run("id")).toMatch(/^uid=10001\(taskgate\) gid=10001\(taskgate\)/);
  expect((await run("ls", "/opt/taskgate")).trim().split(/\s+/)).toEqual(["LICENSE", "bin", "dist", "node_modules", "package.json", "ui"]); // prettier-ignore
  const modules = (await run("ls", "/opt/taskgate/node_modules")).split(/\s+/);
  expect(modules).toEqual(expect.arrayContaining(["bcrypt", "ws"]));
  expect(modules.filter((name) => ["typescript", "vitest", "eslint", "node"].includes(name))).toEqual([]);
  expect(await run("sh", "-c", "touch /opt/taskgate/x 2> /dev/null || echo refused")).toBe("refused\n");
}, 900_000);

async function stageBuilder(stage: string): Promise<void> {
  mkdirSync(stage);
  await stageBase(debianProgram("busybox-static", ["/bin/busybox", "/usr/bin/busybox"]), stage);
  await stageNode(stage);
  const npm = dirname(dirname(realpathSync((await runProgram("sh", ["-c", "command -v npm"])).trim())));
  cpSync(npm, join(stage, "usr/local/lib/node_modules/npm"), { recursive: true, dereference: true });
  symlinkSync("../lib/node_modules/npm/bin/npm-cli.js", join(stage, "usr/local/bin/npm"));
  mkdirSync(join(stage, "usr/bin"), { recursive: true });
  symlinkSync("/bin/busybox", join(stage, "usr/bin/env"));
}

/** By what npm reaches its registry from here, and where the builder looks for it. */
function registryFiles(): readonly (readonly [from: string, to: string])[] {
  const files = [
    [join(homedir(), ".npmrc"), "/root/.npmrc"],
    [process.env.NODE_EXTRA_CA_CERTS ?? "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/own.crt"],
  ] as const;
  return files.filter(([from]) => existsSync(from));
}
