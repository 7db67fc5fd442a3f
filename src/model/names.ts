/** Provider of the gate's own built-in task; no other provider may have this name. */
export const GATE_PROVIDER = "gate";

/** Whether a service, by its key, is one of the gate's own. */
export function isGateService(key: string): boolean {
  return key.startsWith(`${GATE_PROVIDER}/`);
}

/** `provider/task`. */
export function taskKey(provider: string, taskId: string): string {
  return `${provider}/${taskId}`;
}

/** `provider/task/service`: subject of problems, holder of claims, audience of sessions. */
export function serviceKey(provider: string, taskId: string, service: string): string {
  return `${provider}/${taskId}/${service}`;
}

/** The provider that a task, service or upstream is of, by its key. */
export function providerOf(key: string): string {
  return key.slice(0, key.indexOf("/"));
}

/** The task that a service is of, both by their keys. */
export function taskKeyOf(service: string): string {
  return service.slice(0, service.lastIndexOf("/"));
}
