import type { Anyone } from "./access.ts";
import type { Policy, Protocol } from "./task.ts";

/** A port that a command is told to listen on (`port` absent: the gate picks a free one and says which by environment). */
export interface DeclaredService {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port?: number;
}

export type RestartPolicy = "no" | "on-failure" | "always";

/** How whoever starts a task may want its services treated. */
export type RunPolicy = Pick<Policy, "authorization" | "assertion" | "frame" | "allowedOrigins">;

/** What `taskgate run` asks for. */
export interface RunSpec {
  /** DNS label; absent: after the program, numbered where taken. */
  readonly name?: string;
  readonly kind?: string;
  readonly command: readonly string[];
  /** Absolute. */
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly services: readonly DeclaredService[];
  readonly replicas: number;
  readonly restart: RestartPolicy;
  readonly anyone: Anyone;
  /** How long nobody may use it before it is stopped (`2h`), or `never`; absent: as configured. */
  readonly idleStop?: string;
  /** Of all its services. */
  readonly policy?: RunPolicy;
  /** Path mode beside the host names, for the first service: `/nb/`. */
  readonly path?: string;
  /** The operating system's user to run as; absent: the gate's own. */
  readonly user?: string;
}

/** What `taskgate attach` asks for: a port of this machine that already listens. */
export interface AttachSpec {
  readonly name?: string;
  readonly kind?: string;
  readonly port: number;
  /** Absent: found out by asking the port. */
  readonly protocol?: Protocol;
  readonly anyone: Anyone;
  readonly path?: string;
}
