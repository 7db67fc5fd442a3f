import { z } from "zod";

/** What the login page, and command lines that log in, say to the API. */

export const LoginMethodsView = z
  .strictObject({
    methods: z.array(
      z.strictObject({
        name: z.string(),
        label: z.string().describe("For people."),
        kind: z
          .enum(["redirect", "password", "header"])
          .describe("By way of the provider's page; by a form; by what the browser adds to a request by itself."),
        asksName: z.boolean().describe("Of a form: whether it asks for a name beside the password."),
      }),
    ),
  })
  .meta({ id: "LoginMethodsView" });
export type LoginMethodsView = z.output<typeof LoginMethodsView>;

/** `secret` stays with this browser, which shows it when it is back with that `state`. */
export const BegunLoginView = z
  .strictObject({
    location: z.string().describe("The provider's page, where the browser goes."),
    state: z.string(),
    secret: z.string(),
  })
  .meta({ id: "BegunLoginView" });
export type BegunLoginView = z.output<typeof BegunLoginView>;

export const CompleteLoginRequest = z
  .strictObject({
    parameters: z.string().max(12_000).describe("The query of the address that the provider sent the browser back to."),
    secret: z.string().max(100),
  })
  .meta({ id: "CompleteLoginRequest" });
export type CompleteLoginRequest = z.output<typeof CompleteLoginRequest>;

export const PasswordLoginRequest = z
  .strictObject({ user: z.string().max(256), password: z.string().max(1024) })
  .meta({ id: "PasswordLoginRequest" });
export type PasswordLoginRequest = z.output<typeof PasswordLoginRequest>;

/** One line of visible text: it is shown to who is to say yes. */
const Client = z.string().regex(/^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]{1,100}$/u, {
  error: "expected one line of text, 1 to 100 characters",
});

/** A command line wants to log in (RFC 8628 section 3.1). */
export const DeviceRequest = z
  .strictObject({ client: Client.describe("Who asks, for the person at the browser: the name of the machine.") })
  .meta({ id: "DeviceRequest" });
export type DeviceRequest = z.output<typeof DeviceRequest>;

export const DeviceLoginView = z
  .strictObject({
    deviceCode: z.string().describe("To ask with; to be shown to nobody."),
    userCode: z.string().describe("For the person to type in, or to compare."),
    page: z.string(),
    pageWithCode: z.string(),
    lifetimeS: z.number(),
    intervalS: z.number().describe("How long to wait between two questions, at least."),
  })
  .meta({ id: "DeviceLoginView" });
export type DeviceLoginView = z.output<typeof DeviceLoginView>;

export const DevicePollRequest = z.strictObject({ deviceCode: z.string().max(100) }).meta({ id: "DevicePollRequest" });

export const DeviceAnswerView = z
  .discriminatedUnion("state", [
    z.strictObject({
      state: z.literal("pending"),
      intervalS: z.number(),
      tooSoon: z.boolean().describe("true: wait for longer from now on (slow_down of RFC 8628)."),
    }),
    z.strictObject({
      state: z.literal("approved"),
      token: z.string().describe("Shown this once."),
      id: z.string(),
      expiresAt: z.number().nullable(),
      realm: z.string(),
      principal: z.string(),
    }),
  ])
  .meta({ id: "DeviceAnswerView" });
export type DeviceAnswerView = z.output<typeof DeviceAnswerView>;

export const UserCodeRequest = z.strictObject({ userCode: z.string().min(1).max(40) }).meta({ id: "UserCodeRequest" });
export const DeviceDecision = UserCodeRequest.extend({ approve: z.boolean() }).meta({ id: "DeviceDecision" });

/** Which command line asks. */
export const DeviceView = z
  .strictObject({ client: z.string(), peer: z.string(), createdAt: z.number(), expiresAt: z.number() })
  .meta({ id: "DeviceView" });
export type DeviceView = z.output<typeof DeviceView>;

export const LogoutView = z
  .strictObject({ location: z.string().describe("Where the browser ends its login at the provider, too.") })
  .meta({ id: "LogoutView" });
