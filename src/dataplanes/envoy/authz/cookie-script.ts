/**
 * Lua that takes the gate's cookies out of a request, whatever their prefix, port and service: what `ownCookies` of the gate's own way in finds.
 * What is left stays as it is, to the byte. A regular expression (RE2) does the same at three times the price: it reads a session forwards and
 * backwards.
 */
export const COOKIE_SCRIPT = String.raw`
local function is_ours(cookies, from)
  local at = cookies:find("[^%s\160]", from)
  local first = at and cookies:byte(at)
  if first ~= 116 and first ~= 84 and first ~= 95 then return false end -- t, T and _
  local name = cookies:sub(at, at + 17):lower()
  return name:find("^taskgate%-") or name:find("^__host%-taskgate%-") or name:find("^__secure%-taskgate%-")
end

function envoy_on_request(handle)
  local fields = handle:headers()
  local cookies = fields:get("cookie")
  if cookies == nil then return end
  local count = fields:getNumValues("cookie")
  if count > 1 then
    cookies = fields:getAtIndex("cookie", 0)
    for at = 1, count - 1 do cookies = cookies .. "; " .. fields:getAtIndex("cookie", at) end
  end
  local kept, from, found = {}, 1, count > 1
  repeat
    local at = cookies:find(";", from, true)
    if is_ours(cookies, from) then found = true else kept[#kept + 1] = cookies:sub(from, (at or 0) - 1) end
    from = at and at + 1
  until from == nil
  if not found then return end
  local text = table.concat(kept, ";"):gsub("^[ \t]+", "")
  if text == "" or count > 1 then fields:remove("cookie") end
  if text ~= "" then fields:replace("cookie", text) end
end
`;
