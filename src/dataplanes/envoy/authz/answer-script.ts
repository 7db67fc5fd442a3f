/** Marks answers that are the gate's own: with the secret as its value they are left as they are. Never reaches a visitor. */
export const OWN_FIELD = "x-tg-own";

/** What an answer's fields are judged by, for the time that it takes: names of fields, none of which reaches a visitor. */
export const FACT = Object.freeze({
  details: "x-tg-details",
  host: "x-tg-host",
  scheme: "x-tg-scheme",
  frame: "x-tg-frame",
  frameReplaces: "x-tg-frame-replaces",
  prefix: "x-tg-prefix",
  rewritesHost: "x-tg-rewrites-host",
  sticky: "x-tg-sticky",
  address: "x-tg-address",
});

/**
 * Lua that runs on answers with fields which a job may not say just as it likes; what Envoy says itself it leaves alone. It does what the embedded plane does in `cookies.ts`,
 * `frame-fields.ts` and `response-fields.ts`: `secret` is the value of `x-tg-own`.
 */
export function answerScript(secret: string): string {
  if (!/^[\w-]{16,}$/.test(secret)) throw new TypeError("the secret is none that can stand in a script");
  return SCRIPT.replace("@SECRET@", secret);
}

const SCRIPT = String.raw`
local function take(fields, name)
  local value = fields:get(name)
  if value ~= nil then fields:remove(name) end
  return value
end

-- Byte by byte from the end: a pattern that is not held to the beginning tries a run of spaces from each of them.
local function trim(text)
  local from, to = text:find("%S"), #text
  if from == nil then return "" end
  while text:find("^%s", to) do to = to - 1 end
  return text:sub(from, to)
end

local function all_of(fields, name)
  local found = {}
  for at = 0, fields:getNumValues(name) - 1 do found[#found + 1] = fields:getAtIndex(name, at) end
  return found
end

local function put(fields, name, values)
  fields:remove(name)
  for _, value in ipairs(values) do fields:add(name, value) end
end

local function parts_of(text, separator)
  local parts, from = {}, 1
  while true do
    local at = text:find(separator, from, true)
    parts[#parts + 1] = text:sub(from, (at or 0) - 1)
    if at == nil then return parts end
    from = at + 1
  end
end

local function under(path, prefix)
  if path:sub(1, 1) ~= "/" or path:sub(1, 2) == "//" then return path end
  if path:sub(1, #prefix) == prefix or path == prefix:sub(1, -2) then return path end
  return prefix .. path:sub(2)
end

local function is_ours(pair)
  local name = pair:gsub("^[%s=]+", ""):lower():gsub("^__host%-", ""):gsub("^__secure%-", "")
  return name:sub(1, 8) == "taskgate"
end

local function cookie_for(value, host, prefix, sticky)
  if value:find("[%z\1-\8\10-\31\127]") then return nil end
  local parts = parts_of(value, ";")
  if is_ours(parts[1]) and (sticky == nil or parts[1]:sub(1, #sticky + 1) ~= sticky .. "=") then return nil end
  for at = 2, #parts do
    local equals = parts[at]:find("=", 1, true)
    local name = trim(parts[at]:sub(1, (equals or 0) - 1)):lower()
    local text = equals and trim(parts[at]:sub(equals + 1)) or ""
    if name == "domain" then
      local domain = text:lower():gsub("^%.", ""):gsub("%.$", "")
      if domain ~= "" and domain ~= host then return nil end
    elseif name == "path" and equals and prefix then
      parts[at] = parts[at]:sub(1, equals) .. under(text, prefix)
    end
  end
  return table.concat(parts, ";")
end

local function policy_without_frames(value)
  local policies = {}
  for _, policy in ipairs(parts_of(value, ",")) do
    local kept = {}
    for _, part in ipairs(parts_of(policy, ";")) do
      local name = part:lower()
      if not (name:match("^%s*frame%-ancestors%s") or name:match("^%s*frame%-ancestors$")) then kept[#kept + 1] = part end
    end
    local text = table.concat(kept, ";")
    if text:find("[^%s;]") then policies[#policies + 1] = text end
  end
  if #policies == 0 then return nil end
  return table.concat(policies, ",")
end

local function is_page(kind)
  kind = trim((kind or "text/html"):lower():gsub(";.*$", ""))
  return kind == "text/html" or kind == "application/xhtml+xml" or kind == "image/svg+xml" or kind == "text/xml" or kind == "application/xml"
end

local function says_frames(fields)
  if fields:get("x-frame-options") ~= nil then return true end
  for _, value in ipairs(all_of(fields, "content-security-policy")) do
    if value:lower():find("frame-ancestors", 1, true) then return true end
  end
  return false
end

local function frames(fields, frame, replaces)
  if replaces then
    fields:remove("x-frame-options")
    local kept = {}
    for _, value in ipairs(all_of(fields, "content-security-policy")) do kept[#kept + 1] = policy_without_frames(value) end
    put(fields, "content-security-policy", kept)
  elseif says_frames(fields) then
    return
  end
  if frame and is_page(fields:get("content-type")) then fields:add("content-security-policy", frame) end
end

local function location_for(value, fact)
  local scheme, authority, rest = value:match("^([Hh][Tt][Tt][Pp][Ss]?)://([^/?#]*)(.*)$")
  local function map(path) return fact.prefix and under(path, fact.prefix) or path end
  if scheme == nil then return map(value) end
  local name = authority:lower()
  local own = false
  if fact.rewrites and fact.address then
    local port = fact.address:match("^127%.0%.0%.1(:%d+)$") or fact.address:match("^%[::1%](:%d+)$")
    own = name == fact.address or (port ~= nil and name == "localhost" .. port)
  end
  if not own and name ~= fact.authority then return value end
  local path = map(rest:sub(1, 1) == "/" and rest or "/" .. rest)
  if own then return fact.scheme .. "://" .. fact.authority .. path end
  return value:sub(1, #value - #rest) .. path
end

function envoy_on_response(handle)
  local fields = handle:headers()
  local by_job = take(fields, "x-tg-details") == "via_upstream"
  local fact = {
    authority = (take(fields, "x-tg-host") or ""):lower(),
    scheme = take(fields, "x-tg-scheme") or "http",
    frame = take(fields, "x-tg-frame"),
    replaces = take(fields, "x-tg-frame-replaces") == "yes",
    prefix = take(fields, "x-tg-prefix"),
    rewrites = take(fields, "x-tg-rewrites-host") == "yes",
    address = take(fields, "x-tg-address"),
    sticky = take(fields, "x-tg-sticky"),
  }
  if take(fields, "x-tg-own") == "@SECRET@" or not by_job then return end
  fields:remove("x-taskgate-error")
  local told = {}
  for _, value in ipairs(all_of(fields, "proxy-status")) do
    if not value:lower():find("taskgate", 1, true) then told[#told + 1] = value end
  end
  put(fields, "proxy-status", told)
  local host, kept = fact.authority:gsub(":%d*$", ""):gsub("%.$", ""), {}
  for _, value in ipairs(all_of(fields, "set-cookie")) do kept[#kept + 1] = cookie_for(value, host, fact.prefix, fact.sticky) end
  put(fields, "set-cookie", kept)
  frames(fields, fact.frame, fact.replaces)
  local location = fields:get("location")
  if location ~= nil then
    local mapped = location_for(location, fact)
    if mapped ~= location then fields:replace("location", mapped) end
  end
end
`;
