const NAMES = /(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)/y;
const KINDS = new Set(["DNS", "email", "URI"]);

/**
 * Names of DNS, e-mail and URI in a certificate's subjectAltName, as Node spells it. Names that Node puts in quotes, since they could be taken
 * for several (CVE-2021-44532), are nobody's.
 */
export function certificateNames(subjectAltName: string): string[] {
  const names: string[] = [];
  NAMES.lastIndex = 0;
  for (let found = NAMES.exec(subjectAltName); found !== null; found = NAMES.exec(subjectAltName)) {
    const [, kind = "", name = ""] = found;
    if (KINDS.has(kind) && name !== "" && !name.startsWith('"')) names.push(name);
  }
  return names;
}
