-- Every experiment that declares 'smoke = { option = value }' runs with these options, small
-- enough for a second, and ends well with its results in the folder it was given.

local tap = require "tap"

local exe = (os.getenv "BUILD" or "build") .. "/fovea"
local out = os.tmpname()
os.remove(out)

local ran = 0
for path in io.popen("ls -d experiments/*/"):lines() do
  local dir = path:gsub("/$", "")
  local name = dir:match "[^/]+$"
  local file = dir .. "/run.lua"
  local f = io.open(file)
  if f then
    f:close()
    package.path = dir .. "/?.lua;" .. package.path
    local exp = assert(loadfile(file, "t"))(dir)
    package.path = package.path:gsub("^[^;]*;", "", 1)
    if exp.smoke then
      local args = {}
      for key, value in pairs(exp.smoke) do args[#args + 1] = ("--%s=%s"):format(key, value) end
      table.sort(args)
      local command = ("%s run %s %s --out=%s/%s 2>&1"):format(exe, dir, table.concat(args, " "), out, name)
      local p = io.popen(command)
      local text = p:read "a"
      local good = p:close()
      ran = ran + 1
      tap.ok(good, name .. " runs to its end", "%s", text)
      local results = io.popen(("ls -A %s/%s 2>/dev/null"):format(out, name)):read "a"
      tap.ok(results ~= "", name .. " leaves results")
      local readme = io.open(dir .. "/README.md")
      tap.ok(readme and readme:read "a":find "%*%*Command", name .. " has a README with its command")
      if readme then readme:close() end
    end
  end
end
tap.ok(ran > 0, "some experiment declares a smoke test")

-- ---- Ctrl-C: a run of many seeds is stopped once the log has 'after' ----

local function stopped(name, options, after, row)
  local at = out .. "/stopped"
  local p = io.popen(([[
    mkdir -p %s; %s run experiments/%s --seeds=100000 --out=%s %s >%s/log 2>&1 & pid=$!
    for i in $(seq 600); do grep -q '%s' %s/log && break; sleep 0.05; done
    kill -INT $pid; wait $pid; echo status $?; tail -1 %s/log; grep -c '%s' %s/results.csv]]):format(at, exe,
    name, at, options, at, after, at, at, row, at))
  local text = p:read "a"
  p:close()
  tap.ok(text:find "^status 1\nfovea: interrupted: [^\n]+\n1\n$", name .. ": Ctrl-C leaves what was computed", "%s",
         text)
  os.execute("rm -r " .. at)
end
stopped("text_lm", "--steps=40 --width=8 --heads=2 --length=16 --batch=1 --tests=1 --rates=1e-2 --only=uniform",
        "softmax seed 2", "^softmax,.*,0,")
stopped("swap_in", "--steps=2 --tune=1 --batch=2 --length=16 --windows=1", "seed 2: trained", "^DPFP-2,")

os.execute("rm -rf " .. out)
tap.done()
