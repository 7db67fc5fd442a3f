/** A port by which something is offered, as the object says it. */
export interface DeclaredPort {
  readonly name: string | null;
  readonly port: number;
  /** `appProtocol` of a Service's port. */
  readonly appProtocol: string | null;
}

/** The number of the port of that name, else of that number if it is declared; null: neither is there. */
export function declaredPort(ports: readonly DeclaredPort[], name: string, number: number): number | null {
  const port = ports.find((each) => each.name === name) ?? ports.find((each) => each.port === number);
  return port?.port ?? null;
}
