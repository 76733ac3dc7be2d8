-- Everything the README tells a newcomer to type is typed here: sessions are
-- run line by line and must print what is shown; Lua blocks must run; commands
-- are run but for those that start this suite or take minutes (the continuous
-- integration runs them as they stand).

local fv = require "fovea"
local session = require "fovea.session"
local tap = require "tap"

local readme = io.open "README.md":read "a"
local build = os.getenv "BUILD" or "build"
local slow = { "^make check", "^make demo", "^make bench", "^make SAN", "^git clone", "^cd ", "^make install", "^make$" }

local function normal(s) return (s:gsub("%s+$", ""):gsub("[ \t]+\n", "\n")) end

--- Runs the entries of a session; returns what was printed for each.
local function type_in(src)
  local f, mute = session.compile(src)
  if not f then return "error: " .. tostring(mute) end
  local printed, real = {}, print
  _G.print = function(...)
    local t = table.pack(...)
    for i = 1, t.n do t[i] = tostring(t[i]) end
    printed[#printed + 1] = table.concat(t, "\t")
  end
  local r = table.pack(pcall(f))
  _G.print = real
  if not r[1] then return tostring(r[2]) end
  local text = not mute and session.results(r.n - 1, table.unpack(r, 2, r.n)) or nil
  if text then printed[#printed + 1] = text end
  return table.concat(printed, "\n")
end

_G.fv = fv
local sessions, blocks, commands = 0, 0, 0
for lang, body in readme:gmatch "\n```(%w+)\n(.-)\n```" do
  if lang == "lua" and body:find "^fv> " then
    sessions = sessions + 1
    local list = {}
    for line in (body .. "\n"):gmatch "(.-)\n" do
      if line:find "^fv> " then list[#list + 1] = { line:sub(5), {} }
      elseif line:find "^%.%.> " then list[#list][1] = list[#list][1] .. "\n" .. line:sub(5)
      else table.insert(list[#list][2], line) end
    end
    for _, e in ipairs(list) do
      local want, got = normal(table.concat(e[2], "\n")), normal(type_in(e[1]))
      tap.ok(got == want, "session: " .. e[1]:match "^[^\n]*", "got\n%s\nwant\n%s", got, want)
    end
  elseif lang == "lua" then
    blocks = blocks + 1
    local f, err = load(body, "=README")
    local good = f
    if f then good, err = pcall(f) end
    tap.ok(good, "Lua block " .. blocks .. " runs", "%s", err)
  elseif lang == "sh" then
    for line in (body .. "\n"):gmatch "(.-)\n" do
      local cmd = line:gsub("%s+#.*$", "")
      local skip = cmd == ""
      for _, p in ipairs(slow) do skip = skip or cmd:find(p) end
      if not skip then
        commands = commands + 1
        cmd = cmd:gsub("build/fovea", build .. "/fovea")
        local p = io.popen(cmd .. " 2>&1 </dev/null")
        local text = p:read "a"
        tap.ok(p:close(), "$ " .. cmd, "%s", text:sub(-1500))
      end
    end
  end
end
tap.ok(sessions > 0 and blocks > 0 and commands > 0, "the README has a session, Lua and commands")
for _, p in ipairs { "make demo", "make check", "make bench" } do
  tap.ok(readme:find(p, 1, true) and io.open "Makefile":read "a":find("\n" .. p:match "%w+$" .. ":"),
         p .. " is told and exists")
end
tap.done()
