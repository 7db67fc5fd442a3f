import { runAcceptor } from "../auth/authenticators/kerberos/acceptor.ts";
import { systemClock } from "../platform/clock.ts";

// What the process that judges Kerberos tickets runs.
runAcceptor(systemClock);
