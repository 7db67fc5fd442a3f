import { ID_HEADER } from "../../route-index.ts";
import { type Any, pack } from "../proto/kit.ts";
import { Lua } from "../proto/tables/http-filters.ts";
import { CLAIMS } from "./cel.ts";
import { FILTER, KNOWN_KEY, LOGIN_HEADER, LOOKED_AT_HEADER, POLICY_KEY } from "./names.ts";
import { BY_SESSION, type Judged } from "./pass-filter.ts";
import { MODE } from "./service-metadata.ts";
import { TOLD } from "./session-filter.ts";

export interface LoginScriptInput {
  /** Name of the session cookie. */
  readonly cookie: string;
  readonly judged: Judged;
  /** Stands for the rules by which it is decided who may pass: requests that were decided by them have it in `LOOKED_AT_HEADER`. */
  readonly rules: string;
}

/**
 * Lua that is the first and the last of what is done about who may pass; both share what they know, in each worker thread of an Envoy.
 *
 * As the last it takes the gate's cookies out of the request, whatever their prefix, port and service: what `ownCookies` of the gate's own way in
 * finds; what is left stays as it is, to the byte. A regular expression (RE2) does the same at three times the price: it reads a session forwards
 * and backwards. And it remembers whom the rule `BY_SESSION` let pass.
 *
 * As the first it lets in who comes with the same cookies, to a service of the same rules, until the session is to be renewed, in any way that the
 * rule lets pass (what it asks of a request is asked here, too), and does to the request what was done to the first of them. The same for services
 * that anyone may use. An error is no leave to pass: it leaves the field where it is by which the others are looked at.
 *
 * Rules that change, as when something is revoked, make another script, and that another memory. It takes nothing from requests that were decided by
 * others: a script and its rules do not come in the same moment.
 */
export function loginScript({ cookie, judged, rules }: LoginScriptInput): Any {
  const fields = ["authorization", ID_HEADER, ...judged.credentialFields, ...judged.routingFields];
  const values: Readonly<Record<string, string>> = {
    RULES: text(rules),
    ...{ MOST: String(MOST), ENTRY: String(ENTRY), LONGEST: String(LONGEST) },
    COOKIE: text(`${cookie}=`),
    JUDGED: fields.map(text).join(", "),
    TOLD: Object.values(TOLD).map(text).join(", "),
  };
  const inlineString = SCRIPT.replace(/@(\w+)@/g, (_, name: string) => values[name] ?? "");
  return pack(Lua, { defaultSourceCode: { inlineString }, clearRouteCache: false, sharedVmId: "taskgate" });
}

function text(value: string): string {
  if (!/^[\w=.-]*$/.test(value)) throw new TypeError("this is nothing that can stand in a script");
  return `"${value}"`;
}

/** What the cookies of all that a worker thread knows may come to, in bytes, with so much for each beside them: then it begins anew. */
const MOST = 8 * 1024 * 1024;
const ENTRY = 512;
/** Longest cookies, in bytes, by which somebody is known. */
const LONGEST = 8192;

const SCRIPT = String.raw`
local rules = @RULES@
local judged, told = { @JUDGED@ }, { @TOLD@ }
local safe = { GET = true, HEAD = true, OPTIONS = true, TRACE = true }
local known, foreign = { by = {}, bytes = 0 }, { by = {}, bytes = 0 }

local function keep(memory, cookies, what)
  if #cookies > @LONGEST@ then return end
  memory.bytes = memory.bytes + #cookies + @ENTRY@
  if memory.bytes > @MOST@ then memory.by, memory.bytes = {}, 0 end
  memory.by[cookies] = what
end

-- Whether no cookie is the gate's.
local function is_foreign(cookies)
  local found = foreign.by[cookies]
  if found == nil then
    found = cookies:lower():find("taskgate-", 1, true) == nil
    keep(foreign, cookies, found)
  end
  return found
end

local function is_open(service, cookies)
  if service:sub(1, ${String(MODE.public.length + 2)}) ~= "=${MODE.public}:" and service:sub(1, ${String(MODE.self.length + 2)}) ~= "=${MODE.self}:" then return false end
  return cookies == nil or is_foreign(cookies)
end

local function is_usual(fields, of_session)
  for at = 1, #judged do
    if fields:get(judged[at]) ~= nil then return false end
  end
  local method, path = fields:get(":method"), fields:get(":path")
  if method == "CONNECT" or path == nil or path:find("/.taskgate", 1, true) then return false end
  if fields:get("sec-fetch-site") == "same-origin" then return true end
  if fields:get("origin") ~= nil then return false end
  return not of_session or (safe[method] and fields:get("upgrade") == nil)
end

local function pass(handle, fields, cookies)
  local service = fields:get("${LOGIN_HEADER}")
  if service == nil then return end
  local session = cookies and known.by[cookies]
  if session then
    if session.service ~= service or os.time() >= session.renewal then return end
  elseif not is_open(service, cookies) then
    return
  end
  if not is_usual(fields, session) then return end
  if cookies and fields:getNumValues("cookie") ~= 1 then return end
  if session then
    if session.cookies then fields:replace("cookie", session.cookies) else fields:remove("cookie") end
    for at = 1, #told do
      if session[at] then fields:replace(told[at], session[at]) end
    end
    handle:streamInfo():dynamicMetadata():set("${FILTER.known}", "${KNOWN_KEY}", session.claims)
  end
  fields:remove("${LOGIN_HEADER}")
end

local function remember(handle, fields, cookies, kept)
  if fields:get("${LOOKED_AT_HEADER}") ~= rules then return end
  local from, to = cookies:find(@COOKIE@, 1, true)
  if from == nil or cookies:find(@COOKIE@, to + 1, true) then return end
  local claims = cookies:match("^[%w_-]+%.([%w_-]+)%.[%w_-]+", to + 1)
  local said = handle:streamInfo():dynamicMetadata()
  local rule, verified = said:get("${FILTER.pass}"), said:get("${FILTER.session}")
  if claims == nil or rule == nil or verified == nil or rule["${POLICY_KEY}"] ~= "${BY_SESSION}" then return end
  local session = { service = fields:get("${LOGIN_HEADER}"), renewal = verified["${CLAIMS}"].rnw, claims = claims, cookies = kept }
  if session.service == nil or type(session.renewal) ~= "number" then return end
  for at = 1, #told do session[at] = fields:get(told[at]) end
  keep(known, cookies, session)
end

local function is_ours(cookies, from)
  local at = cookies:find("[^%s\160]", from)
  local first = at and cookies:byte(at)
  if first ~= 116 and first ~= 84 and first ~= 95 then return false end -- t, T and _
  local name = cookies:sub(at, at + 17):lower()
  return name:find("^taskgate%-") or name:find("^__host%-taskgate%-") or name:find("^__secure%-taskgate%-")
end

local function strip(handle, fields, cookies)
  local lines = fields:getNumValues("cookie")
  if lines > 1 then
    cookies = fields:getAtIndex("cookie", 0)
    for at = 1, lines - 1 do cookies = cookies .. "; " .. fields:getAtIndex("cookie", at) end
  end
  local kept, from, found = {}, 1, lines > 1
  repeat
    local at = cookies:find(";", from, true)
    if is_ours(cookies, from) then found = true else kept[#kept + 1] = cookies:sub(from, (at or 0) - 1) end
    from = at and at + 1
  until from == nil
  if not found then return end
  local text = table.concat(kept, ";"):gsub("^[ \t]+", "")
  if text == "" or lines > 1 then fields:remove("cookie") end
  if text ~= "" then fields:replace("cookie", text) end
  if lines == 1 and known.by[cookies] == nil then remember(handle, fields, cookies, text ~= "" and text or nil) end
end

function envoy_on_request(handle)
  local fields = handle:headers()
  local cookies = fields:get("cookie")
  if fields:get("${LOOKED_AT_HEADER}") == nil then
    pass(handle, fields, cookies)
  elseif cookies ~= nil then
    strip(handle, fields, cookies)
  end
end
`;
