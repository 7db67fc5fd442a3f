import { createHash } from "node:crypto";
import { createReadStream, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { runProgram } from "../run-program.ts";

/** A tar file of what a layer adds, and what it is known by. */
export interface Layer {
  readonly file: string;
  /** Of the file: `sha256:…`. */
  readonly digest: string;
}

export interface Image {
  /** With a tag. */
  readonly name: string;
  /** The lowest first. */
  readonly layers: readonly Layer[];
  readonly entrypoint?: readonly string[];
  /** `NAME=value` */
  readonly environment?: readonly string[];
  /** A number, as what checks that it is not root wants. Default: root. */
  readonly user?: string;
}

/** Packs a folder into a layer: the same files make the same layer, whoever owns them here and however old they are. */
export async function packLayer(folder: string, file: string): Promise<Layer> {
  const same = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
  await runProgram("tar", ["--create", `--file=${file}`, ...same, `--directory=${folder}`, "."]);
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return { file, digest: `sha256:${hash.digest("hex")}` };
}

/** Puts images into one archive as `docker save` makes it, by way of a folder that is not there yet. Layers that they share are in it once. */
export async function packImages(images: readonly Image[], folder: string, archive: string): Promise<void> {
  mkdirSync(folder);
  const manifest = images.map((image, index) => {
    const config = `${String(index)}.json`;
    writeFileSync(join(folder, config), JSON.stringify(buildConfig(image)));
    return { Config: config, RepoTags: [image.name], Layers: image.layers.map(nameOf) };
  });
  writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifest));
  const layers = new Map(images.flatMap(({ layers }) => layers.map((layer) => [nameOf(layer), layer.file])));
  for (const [name, file] of layers) symlinkSync(file, join(folder, name));
  await runProgram("tar", ["--create", "--dereference", `--file=${archive}`, `--directory=${folder}`, "."]);
}

function nameOf({ digest }: Layer): string {
  return `${digest.slice("sha256:".length)}.tar`;
}

const ARCHITECTURES: Partial<Record<NodeJS.Architecture, string>> = { x64: "amd64", arm64: "arm64" };

/** An image's configuration (OCI image-spec, config.md). */
export function buildConfig(image: Image): object {
  return {
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    os: "linux",
    config: { Entrypoint: image.entrypoint, Env: image.environment, User: image.user },
    rootfs: { type: "layers", diff_ids: image.layers.map(({ digest }) => digest) },
  };
}
