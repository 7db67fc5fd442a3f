/** Which object of a cluster: `KIND NAMESPACE/NAME`. */
export type ObjectRef = `${string} ${string}`;

/** `key`: `NAMESPACE/NAME`. */
export function refOf(kind: string, key: string): ObjectRef {
  return `${kind} ${key}`;
}

/** `key`: `NAMESPACE/NAME`. */
export function readRef(ref: ObjectRef): { readonly kind: string; readonly key: string } {
  const at = ref.indexOf(" ");
  return { kind: ref.slice(0, at), key: ref.slice(at + 1) };
}
