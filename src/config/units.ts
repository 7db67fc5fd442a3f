import { z } from "zod";

const MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const BYTES = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** `150ms`, `30s`, `15m`, `8h`, `30d` → ms. */
export const duration = z
  .string()
  .regex(/^\d+(ms|s|m|h|d)$/, { abort: true, error: "expected a duration such as 500ms, 30s, 15m, 8h or 30d" })
  .transform((text) => parseInt(text, 10) * MS[text.replace(/^\d+/, "") as keyof typeof MS]);

/** `64KiB`, `1MiB` → bytes. */
export const size = z
  .string()
  .regex(/^\d+(B|KiB|MiB|GiB)$/, { abort: true, error: "expected a size such as 512B, 64KiB, 10MiB or 1GiB" })
  .transform((text) => parseInt(text, 10) * BYTES[text.replace(/^\d+/, "") as keyof typeof BYTES]);

export interface HostPort {
  readonly host: string;
  /** 0 means any free one. */
  readonly port: number;
}

/** `127.0.0.1:7080`, `[::1]:7080`, `0.0.0.0:443`. */
export const hostPort = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[0-9.]+|localhost):\d{1,5}$/, {
    abort: true,
    error: "expected IP:PORT, such as 127.0.0.1:7080 or [::1]:7080",
  })
  .transform((text): HostPort => {
    const at = text.lastIndexOf(":");
    return { host: text.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(text.slice(at + 1)) };
  })
  .refine((value) => value.port <= 65_535, { error: "port must be 0 to 65535" });

export interface PortRange {
  readonly from: number;
  /** Inclusive. */
  readonly to: number;
}

/** `20000-20999`. */
export const portRange = z
  .string()
  .regex(/^\d{1,5}-\d{1,5}$/, { abort: true, error: "expected FROM-TO, such as 20000-20999" })
  .transform((text): PortRange => {
    const [from = "", to = ""] = text.split("-");
    return { from: Number(from), to: Number(to) };
  })
  .refine((range) => range.from >= 1 && range.from <= range.to && range.to <= 65_535, {
    error: "expected 1 ≤ FROM ≤ TO ≤ 65535",
  });

/** A host name in lower case, without port. */
export const hostName = z
  .string()
  .regex(/^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/, {
    error: "expected a host name in lower case, such as localhost or apps.example.com",
  });
