import { describe, expect, test } from "vitest";
import { checkName, chooseNumber, planCluster } from "./plan.ts";

describe("the plan of a cluster", () => {
  test("gives clusters with different numbers nothing in common", () => {
    const [one, other] = [planCluster("one", 0, "/one"), planCluster("other", 1, "/other")];
    const shared = Object.values(one).filter((value) => Object.values(other as object).includes(value));
    expect(shared).toEqual([]);
  });

  test("takes the first number that is free", () => {
    expect(chooseNumber(new Set(), [])).toBe(0);
    expect(chooseNumber(new Set([0, 2]), [])).toBe(1);
  });

  test("passes over addresses that the machine already has a route to", () => {
    expect(chooseNumber(new Set(), ["default", "192.0.2.0/24", "fe80::/64"])).toBe(0);
    expect(chooseNumber(new Set(), ["10.250.0.0/24"])).toBe(1);
    expect(chooseNumber(new Set(), ["10.100.3.0/24", "10.201.7.9"])).toBe(2);
    expect(() => chooseNumber(new Set(), ["10.0.0.0/8"])).toThrow("no addresses are left");
  });

  test.each(["", "9a", "Upper", "with-dash", "elevenchars", "a/../b"])("takes %j for no name", (name) => {
    expect(() => checkName(name)).toThrow("is no name");
  });

  test("names interfaces within Linux's 15 characters", () => {
    checkName("tencharact");
    expect(planCluster("tencharact", 0, "").link.length).toBeLessThanOrEqual(15);
  });
});
