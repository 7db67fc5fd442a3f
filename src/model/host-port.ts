/** The one spelling of a host and a port, as in a URL: `127.0.0.1:80`, `[::1]:80`, `localhost:80`. */
export function hostPort(host: string, port: number): string {
  return `${bracketed(host)}:${String(port)}`;
}

/** A host as it stands in a URL: an IPv6 address in brackets. */
export function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
