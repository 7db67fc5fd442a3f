import { z } from "zod";
import {
  AccessEntry,
  checkService,
  checkServiceNames,
  Identity,
  label,
  Name,
  serviceFields,
} from "../service-entry.ts";

/** `IP:PORT`, checked where it is read. */
const Address = z.string().max(64);
const Endpoint = Address.or(
  z.strictObject({
    address: Address,
    weight: z.int().min(1).max(1000).prefault(1),
    replica: z
      .string()
      .regex(/^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/, { error: "expected a name such as 0 or worker-1" })
      .optional(),
  }),
);

const Service = z
  .strictObject({ ...serviceFields, endpoints: z.array(Endpoint).max(10_000) })
  .superRefine(checkService);
export type ServiceEntry = z.output<typeof Service>;

/** One task as the file has it; examples/tasks.yaml shows all of it. */
export const TaskEntry = z
  .strictObject({
    name: label("a name"),
    kind: z.string().min(1).max(128).prefault("service"),
    owner: Name.or(Identity).optional(),
    namespace: z.string().max(253).prefault(""),
    labels: z.record(z.string().max(317), z.string().max(4096)).prefault({}),
    access: AccessEntry.prefault("nobody"),
    services: z.array(Service).min(1).max(256),
  })
  .superRefine((task, context) => checkServiceNames(task.services, context, ["services"]));
export type TaskEntry = z.output<typeof TaskEntry>;
