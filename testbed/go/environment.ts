import { createHash } from "node:crypto";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildOnce } from "../build-once.ts";
import { runProgram } from "../run-program.ts";

/** What gRPC's own projects test each other with. */
export interface GrpcInterop {
  /** Runs one case, as `-test_case` names it. */
  readonly client: string;
  readonly server: string;
}

const MODULE = fileURLToPath(new URL(".", import.meta.url));
/** Versions and sums: with them, what is built is the same everywhere. */
const RECIPE = ["go.mod", "go.sum", "programs.go"];
const GRPC = "google.golang.org/grpc/interop";

/** Builds gRPC's interop client and server once (about a minute) and finds them there from then on; see `buildOnce`. Needs Go. */
export async function grpcInterop(): Promise<GrpcInterop> {
  const what = "building gRPC's interop programs for the tests (once, about a minute)";
  const folder = await buildOnce(`go-${await recipeHash()}`, what, async (folder) => {
    for (const file of RECIPE) cpSync(join(MODULE, file), join(folder, file));
    await runProgram("go", ["build", "-mod=readonly", "-o", "bin/", `${GRPC}/client`, `${GRPC}/server`], {
      cwd: folder,
      env: { GOWORK: "off", GOFLAGS: "" },
    });
  });
  return { client: join(folder, "bin", "client"), server: join(folder, "bin", "server") };
}

async function recipeHash(): Promise<string> {
  const hash = createHash("sha256").update(await goVersion());
  for (const file of RECIPE) hash.update(readFileSync(join(MODULE, file)));
  return hash.digest("hex").slice(0, 12);
}

/** What `go version` says. Throws, saying what to do, where there is no Go. */
export async function goVersion(): Promise<string> {
  try {
    return await runProgram("go", ["version"]);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    throw new Error(
      "no Go on the PATH: install 1.26 or newer (https://go.dev/dl), programs of the tests are built with it",
      {
        cause: error,
      },
    );
  }
}
