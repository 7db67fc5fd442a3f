import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildOnce } from "../build-once.ts";
import { runProgram } from "../run-program.ts";
import { type Image, type Layer, packImages, packLayer } from "./image-archive.ts";
import {
  linkProgram,
  stageBase,
  stageDependencies,
  stageNode,
  stageProgram,
  stagePython,
  stageTaskgate,
} from "./image-contents.ts";
import type { Programs } from "./programs.ts";

const PATH = "PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/** What holds a pod's namespaces. */
export const PAUSE_IMAGE = "testbed.local/pause:1";
/** A shell and the usual small programs. */
export const BUSYBOX_IMAGE = "testbed.local/busybox:1";
export const COREDNS_IMAGE = "testbed.local/coredns:1";
/** This machine's `python3` with its standard library, where it is here: virtual environments made of it work where pods mount them. */
export const PYTHON_IMAGE = "testbed.local/python:1";
/** `taskgate` as it is in this checkout, with Node and busybox; user 10001. */
export const TASKGATE_IMAGE = "testbed.local/taskgate:1";

/** How `taskgate` starts in its image: the same as by the Dockerfile. */
export const TASKGATE_SETTINGS = {
  entrypoint: ["/opt/taskgate/bin/taskgate"],
  environment: [PATH, "HOME=/home/taskgate"],
  user: "10001",
} as const;

/** The Envoy that tests use: `envoy` on the PATH. */
export const ENVOY_IMAGE = "testbed.local/envoy:1";

/** An image of one program, which is on its PATH by its own name. */
export interface ProgramImage {
  /** With a tag. */
  readonly name: string;
  readonly program: string;
  /** Absolute path at which it is found as well. */
  readonly also?: string;
}

const PROJECT = fileURLToPath(new URL("../../", import.meta.url));
/** Changes with what the layers are made of. */
const RECIPE = "1";
type Layers = Readonly<Record<"base" | "coredns" | "node" | "dependencies" | "python", Layer>>;

/** Makes the archive of all images in `folder`, which is not there yet: what changes seldom once, this checkout's sources each time. Its path. */
export async function makeImages(programs: Programs, folder: string): Promise<string> {
  const layers = await lastingLayers(programs);
  mkdirSync(folder);
  const taskgate = await makeLayer(folder, "taskgate", (stage) => stageTaskgate(PROJECT, stage));
  const archive = join(folder, "images.tar");
  await packImages(buildImages(layers, taskgate), join(folder, "archive"), archive);
  return archive;
}

/** Makes the archive of images of a program each, with a shell beside it, in `folder`, which is not there yet. Its path. */
export async function makeProgramImages(
  programs: Programs,
  images: readonly ProgramImage[],
  folder: string,
): Promise<string> {
  const { base } = await lastingLayers(programs);
  mkdirSync(folder);
  const made: Image[] = [];
  for (const [index, { name, program, also }] of images.entries()) {
    const stageOne = async (stage: string): Promise<void> => {
      await stageProgram(program, basename(program), stage);
      if (also !== undefined) linkProgram(basename(program), also, stage);
    };
    const layer = await makeLayer(folder, String(index), stageOne);
    made.push({
      name,
      layers: [base, layer],
      entrypoint: [`/usr/local/bin/${basename(program)}`],
      environment: [PATH],
    });
  }
  const archive = join(folder, "images.tar");
  await packImages(made, join(folder, "archive"), archive);
  return archive;
}

function buildImages({ base, coredns, node, dependencies, python }: Layers, taskgate: Layer): readonly Image[] {
  const environment = [PATH];
  return [
    { name: PAUSE_IMAGE, layers: [base], entrypoint: ["/bin/busybox", "sleep", "infinity"] },
    { name: BUSYBOX_IMAGE, layers: [base], environment },
    { name: COREDNS_IMAGE, layers: [base, coredns], entrypoint: ["/usr/local/bin/coredns"], environment },
    { name: PYTHON_IMAGE, layers: [base, python], environment },
    { name: TASKGATE_IMAGE, layers: [base, node, dependencies, taskgate], ...TASKGATE_SETTINGS },
  ];
}

async function lastingLayers(programs: Programs): Promise<Layers> {
  const python = await runProgram("python3", ["-c", "import sys; print(sys.version, sys._base_executable)"]);
  const lock = readFileSync(join(PROJECT, "package-lock.json"));
  const hash = createHash("sha256").update(`${RECIPE}\n${process.version}\n${python}\n`).update(lock);
  for (const path of [programs.busybox, programs.coredns]) {
    const { size, mtimeMs } = statSync(path);
    hash.update(`${path} ${String(size)} ${String(mtimeMs)}\n`);
  }
  const name = `kubernetes-images-${hash.digest("hex").slice(0, 12)}`;
  const folder = await buildOnce(name, "making layers of images (once, under a minute)", async (folder) => {
    const layers: Layers = {
      base: await makeLayer(folder, "base", (stage) => stageBase(programs.busybox, stage)),
      coredns: await makeLayer(folder, "coredns", (stage) => stageProgram(programs.coredns, "coredns", stage)),
      node: await makeLayer(folder, "node", (stage) => stageNode(stage)),
      dependencies: await makeLayer(folder, "dependencies", (stage) => stageDependencies(PROJECT, stage)),
      python: await makeLayer(folder, "python", (stage) => stagePython(stage)),
    };
    writeFileSync(join(folder, "layers.json"), JSON.stringify(layers));
  });
  return JSON.parse(readFileSync(join(folder, "layers.json"), "utf8")) as Layers;
}

async function makeLayer(
  folder: string,
  name: string,
  stage: (folder: string) => Promise<void> | void,
): Promise<Layer> {
  const staged = join(folder, name);
  mkdirSync(staged);
  await stage(staged);
  const layer = await packLayer(staged, join(folder, `${name}.tar`));
  rmSync(staged, { recursive: true });
  return layer;
}
