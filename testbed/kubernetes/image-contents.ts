import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { runProgram } from "../run-program.ts";

/** The user that taskgate runs as in its image. */
const USERS = "root:x:0:0:root:/root:/bin/sh\ntaskgate:x:10001:10001:taskgate:/home/taskgate:/bin/sh\n";
const GROUPS = "root:x:0:\ntaskgate:x:10001:\n";
const TASKGATE = "opt/taskgate";

/** A shell with the usual small programs, users, and folders to write to. */
export async function stageBase(busybox: string, stage: string): Promise<void> {
  for (const folder of ["bin", "etc", "home", "root", "usr/local/bin"])
    mkdirSync(join(stage, folder), { recursive: true });
  for (const folder of ["tmp", "home/taskgate"]) {
    mkdirSync(join(stage, folder), { recursive: true });
    chmodSync(join(stage, folder), 0o1777);
  }
  copyFileSync(busybox, join(stage, "bin/busybox"));
  const names = (await runProgram(busybox, ["--list"])).trim().split("\n");
  for (const name of names) {
    if (!existsSync(join(stage, "bin", name))) symlinkSync("busybox", join(stage, "bin", name));
  }
  writeFileSync(join(stage, "etc/passwd"), USERS);
  writeFileSync(join(stage, "etc/group"), GROUPS);
  writeFileSync(join(stage, "etc/nsswitch.conf"), "hosts: files dns\n");
}

/** A program as /usr/local/bin/NAME, with the libraries that it is linked with. */
export async function stageProgram(program: string, name: string, stage: string): Promise<void> {
  const to = join(stage, "usr/local/bin", name);
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(program, to);
  await stageLibraries([program], stage);
}

/** A program that is staged already, at another path as well. */
export function linkProgram(name: string, path: string, stage: string): void {
  mkdirSync(dirname(join(stage, path)), { recursive: true });
  symlinkSync(`/usr/local/bin/${name}`, join(stage, path));
}

/** The Node that runs this. */
export function stageNode(stage: string): Promise<void> {
  return stageProgram(realpathSync(process.execPath), "node", stage);
}

/** What taskgate needs of node_modules. */
export async function stageDependencies(project: string, stage: string): Promise<void> {
  const listed = await runProgram("npm", ["ls", "--omit=dev", "--all", "--parseable"], { cwd: project });
  for (const folder of listed.trim().split("\n")) {
    const path = relative(project, folder);
    // What is in another one's folder came with that.
    if (path !== "") cpSync(folder, join(stage, TASKGATE, path), { recursive: true, verbatimSymlinks: true });
  }
}

/** What the image has of the checkout, beside dependencies. */
export const TASKGATE_FILES: readonly string[] = ["bin", "src", "ui", "package.json"];

/** This checkout's sources, without their tests, and `taskgate` on the PATH. */
export function stageTaskgate(project: string, stage: string): void {
  const isProduct = (file: string): boolean => !/\.test\.ts$|\/testdata(\/|$)/.test(file);
  for (const path of TASKGATE_FILES) {
    cpSync(join(project, path), join(stage, TASKGATE, path), {
      recursive: true,
      verbatimSymlinks: true,
      filter: isProduct,
    });
  }
  mkdirSync(join(stage, "usr/local/bin"), { recursive: true });
  symlinkSync(`/${TASKGATE}/bin/taskgate`, join(stage, "usr/local/bin/taskgate"));
}

interface PythonFiles {
  readonly executable: string;
  readonly standardLibrary: string;
  /** Compiled modules: they are linked with libraries of their own. */
  readonly modules: readonly string[];
}

const PYTHON_FILES = `
import glob, json, sys, sysconfig
library = sysconfig.get_path("stdlib")
modules = glob.glob(library + "/lib-dynload/*.so")
print(json.dumps({"executable": sys._base_executable, "standardLibrary": library, "modules": modules}))
`;
/** Folders of a standard library that nothing runs from. */
const NOT_RUN = new Set(["site-packages", "dist-packages", "test", "tests", "idlelib", "__pycache__", "ensurepip"]);

/** This machine's Python where it is here, and as /usr/local/bin/python3. */
export async function stagePython(stage: string): Promise<void> {
  const found = JSON.parse(await runProgram("python3", ["-c", PYTHON_FILES])) as PythonFiles;
  const { executable, standardLibrary, modules } = found;
  const isRun = (file: string): boolean => !NOT_RUN.has(basename(file)) && !basename(file).startsWith("config-");
  cpSync(standardLibrary, join(stage, standardLibrary), { recursive: true, verbatimSymlinks: true, filter: isRun });
  const program = realpathSync(executable);
  stageFile(program, stage);
  // Virtual environments name it without its version.
  for (const path of [join(dirname(executable), "python3"), "/usr/local/bin/python3"]) {
    mkdirSync(dirname(join(stage, path)), { recursive: true });
    if (!existsSync(join(stage, path))) symlinkSync(program, join(stage, path));
  }
  await stageLibraries([program, ...modules], stage);
}

/** The shared libraries of programs, where they are here; none of what is linked with none. */
async function stageLibraries(programs: readonly string[], stage: string): Promise<void> {
  const found = new Set<string>();
  for (const program of programs) {
    // ldd fails on what is linked with none.
    const listed = await runProgram("ldd", [program]).catch(() => "");
    for (const library of parseLibraries(listed)) found.add(library);
  }
  for (const library of found) stageFile(library, stage);
}

/** Paths in what ldd prints. */
export function parseLibraries(listed: string): readonly string[] {
  return listed.split("\n").flatMap((line) => /(?:=> |^\s+)(\/\S+) \(0x/.exec(line)?.slice(1) ?? []);
}

/** A link's target, at the link's place. */
function stageFile(path: string, stage: string): void {
  const to = join(stage, path);
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(path, to);
}
