import { expect, test } from "vitest";
import { parseHierarchies } from "./cgroups.ts";

test("reads the hierarchies of version 1, without the one of version 2 beside them", () => {
  const mountinfo = `23 1 0:20 / /sys rw,relatime - sysfs sysfs rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,release_agent=/x,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`;
  expect(parseHierarchies(mountinfo)).toEqual([
    { version: 1, path: "/sys/fs/cgroup/cpu,cpuacct", options: "cpu,cpuacct" },
    { version: 1, path: "/sys/fs/cgroup/systemd", options: "none,name=systemd" },
  ]);
});

test("reads the one hierarchy of version 2", () => {
  const mountinfo = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
  expect(parseHierarchies(mountinfo)).toEqual([{ version: 2, path: "/sys/fs/cgroup", options: "" }]);
});

test("finds none where there are none", () => {
  expect(parseHierarchies("23 1 0:20 / /sys rw - sysfs sysfs rw\n")).toEqual([]);
});
