// gRPC, all four kinds of call. Needs @grpc/grpc-js and @grpc/proto-loader.
import { loadPackageDefinition, Server, ServerCredentials } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { fileURLToPath } from "node:url";

const definition = loadPackageDefinition(loadSync(fileURLToPath(new URL("echo.proto", import.meta.url))));
const server = new Server();
server.addService(definition.taskgate.example.Echo.service, {
  Once: (call, done) => done(null, call.request),
  Repeat: (call) => {
    for (let i = 0; i < 3; i++) call.write(call.request);
    call.end();
  },
  Join: (call, done) => {
    let all = "";
    call.on("data", ({ text }) => (all += text));
    call.on("end", () => done(null, { text: all }));
  },
  Talk: (call) => {
    call.on("data", (message) => call.write(message));
    call.on("end", () => call.end());
  },
});
server.bindAsync(`127.0.0.1:${process.env.PORT}`, ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
});
