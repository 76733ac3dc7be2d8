-- Adding an operator takes one file: the one shown in the README is dropped
-- into a copy of the sources, built there, and has its binding, help and the
-- universal tests, with no other edit.

local tap = require "tap"

local function sh(cmd)
  local p = io.popen(cmd .. " 2>&1")
  local text = p:read "a"
  return p:close(), text
end

local readme = io.open "README.md":read "a"
local name, code = readme:match "`src/ops/([%w_]+)%.c`.-```c\n(.-)```"
tap.ok(name, "the README shows an operator, whole")

local build = os.getenv "BUILD" or "build"
local dir = os.tmpname()
os.remove(dir)
assert(sh("mkdir -p " .. dir))
-- sources as links, objects copied with their times: only the new file compiles
local good, text = sh(("cp -r src lua tests Makefile %s/ && cp -rp %s %s/%s"):format(dir, build, dir, build))
tap.ok(good, "a copy of the sources and the build", "%s", text)
sh(("find %s/src %s/Makefile -exec touch -d '2000-01-01' {} +"):format(dir, dir))
sh(("find %s/%s -exec touch -d '2001-01-01' {} +"):format(dir, build))
local f = assert(io.open(("%s/src/ops/%s.c"):format(dir, name), "w"))
f:write(code)
f:close()
local san = build:find "san" and "SAN=1 " or ""
good, text = sh(("make -C %s %sall"):format(dir, san))
tap.ok(good, "builds with one new file", "%s", text:sub(-2000))
good, text = sh(("%s/%s/fovea -e 'print(fv.%s) fv.help(\"%s\")'"):format(dir, build, name, name))
tap.ok(good and text:find(name, 1, true), "is bound, prints and has help", "%s", text)
good, text = sh(("cd %s && LUA_PATH='tests/?.lua;;' %s/fovea tests/ops.t %s"):format(dir, build, name))
tap.ok(good and text:find "gradients" and not text:find "not ok", "passes the universal tests", "%s", text)
sh("rm -rf " .. dir)
tap.done()
