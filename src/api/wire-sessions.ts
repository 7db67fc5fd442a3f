import { z } from "zod";

/** What browsers have at services, and the keys that sign it. */

export const SessionView = z
  .strictObject({
    id: z.string().describe("LOGIN.SESSION: a session belongs to a login to the gate, and ends with it."),
    user: z.string().describe("REALM/NAME."),
    service: z.string().describe("PROVIDER/TASK/SERVICE."),
    host: z.string(),
    proof: z.string().nullable().describe("Name of the login method."),
    peer: z.string().describe("Address where it began."),
    createdAt: z.number().describe("Ms since 1970."),
  })
  .meta({ id: "SessionView" });
export type SessionView = z.output<typeof SessionView>;

export const SessionsView = z.strictObject({ sessions: z.array(SessionView) }).meta({ id: "SessionsView" });
export type SessionsView = z.output<typeof SessionsView>;

export const EndUserRequest = z
  .strictObject({ user: z.string().min(1).max(400).describe("[REALM/]NAME; without realm, of your own.") })
  .meta({ id: "EndUserRequest" });
export type EndUserRequest = z.output<typeof EndUserRequest>;

export const EndedUserView = z
  .strictObject({ user: z.string(), ended: z.number().describe("Logins and tokens that ended.") })
  .meta({ id: "EndedUserView" });
export type EndedUserView = z.output<typeof EndedUserView>;

export const SigningKeyView = z
  .strictObject({
    id: z.string(),
    use: z.enum(["session", "assertion"]),
    state: z.enum(["published", "used", "retired"]),
    since: z.number().describe("Ms since 1970; of the state."),
    until: z.number().nullable().describe("When one that is retired is removed."),
  })
  .meta({ id: "SigningKeyView" });
export type SigningKeyView = z.output<typeof SigningKeyView>;

export const SigningKeysView = z.strictObject({ keys: z.array(SigningKeyView) }).meta({ id: "SigningKeysView" });
export type SigningKeysView = z.output<typeof SigningKeysView>;
