import { rmSync } from "node:fs";
import { runStep } from "./steps.ts";

/** `npm run build`: JavaScript for the published package. A checkout runs from src and does not need it. */
rmSync("dist", { recursive: true, force: true });
const passed = await runStep({ name: "build", command: ["tsc", "-p", "tsconfig.build.json"] }, true);
process.exitCode = passed ? 0 : 1;
