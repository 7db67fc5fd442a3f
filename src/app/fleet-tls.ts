import { readFile } from "node:fs/promises";
import type { Config } from "../config/schema.ts";
import type { GrpcTls } from "../dataplanes/envoy/grpc-server.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import { startWatchedFile } from "../platform/watched-file.ts";

type Files = NonNullable<Config["envoy"]["xds"]["tls"]>;

/** Files are seldom written at once. */
const SETTLE_MS = 200;

/** What Envoys elsewhere are shown, and believed by. Throws what reading a file throws. */
export async function readFleetTls({ certificate, key, clientAuthority }: Files): Promise<GrpcTls> {
  const read = (file: string): Promise<string> => readFile(file, "utf8");
  return { certificate: await read(certificate), key: await read(key), clientAuthority: await read(clientAuthority) };
}

/** Calls `renew` with what the files hold once they changed. What cannot be used is logged, and what was before stays. Disposing ends it. */
export async function watchFleetTls(
  files: Files,
  { clock, logger, renew }: { readonly clock: Clock; readonly logger: Logger; readonly renew: (tls: GrpcTls) => void },
): Promise<AsyncDisposable> {
  await using scope = new AsyncDisposableStack();
  let watching = false;
  let due: Disposable | null = null;
  const changed = (): void => {
    if (!watching) return;
    due?.[Symbol.dispose]();
    due = clock.after(SETTLE_MS, () => {
      readFleetTls(files)
        .then(
          (tls) => {
            renew(tls);
            logger.info("certificates for Envoys read again");
          },
          (err: unknown) => logger.warn({ err }, "changed certificates for Envoys cannot be read"),
        )
        .catch((err: unknown) => logger.warn({ err }, "changed certificates for Envoys cannot be used"));
    });
  };
  for (const path of [files.certificate, files.key, files.clientAuthority]) {
    scope.use(await startWatchedFile({ path, clock, logger, changed }));
  }
  scope.defer(() => due?.[Symbol.dispose]());
  watching = true;
  return scope.move();
}
