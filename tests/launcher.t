-- The launcher as a user meets it: scripts, -e, input from a pipe, the prompt
-- in a terminal, Ctrl-C in Lua loops and inside long C work, the stock lua5.4.

local tap = require "tap"

local build = os.getenv "BUILD" or "build"
local exe = build .. "/fovea"
local dir = os.tmpname()
os.remove(dir)
os.execute("mkdir -p " .. dir)

local function write(name, text)
  local f = assert(io.open(dir .. "/" .. name, "w"))
  f:write(text)
  f:close()
  return dir .. "/" .. name
end

local function sh(cmd)
  local p = io.popen(cmd .. " 2>&1")
  local text = p:read "a"
  local good, _, code = p:close()
  return text, good and 0 or code
end

local function is(cmd, want, name)
  local text, code = sh(cmd)
  tap.ok(text == want and code == 0, name, "status %d, got %s", code, text)
end

is(exe .. " -e 'print(1 + 1)'", "2\n", "-e runs a line")
is(exe .. " -e 'print(arg[1], ...)' a b", "a\ta\tb\n", "-e passes arguments")
is(("echo 'print(fv.zeros(2):sum():item())' | %s"):format(exe), "0.0\n", "a pipe is a script")
is(("%s %s x"):format(exe, write("s.lua", "print(arg[0]:match '[^/]+$', ...)")), "s.lua\tx\n",
   "a script has its arguments")
tap.ok(select(2, sh(exe .. " -e 'error(\"no\", 0)'")) ~= 0, "an error is a failing status")
local text = sh(exe .. " -e 'local function f() local x = nil; x.y = 1 end f()'")
tap.ok(text:find "^fovea: %-e:1: attempt to index" and text:find "traceback",
       "an error shows where", "%s", text)
text = sh(exe .. " " .. write("layer.lua", "local f = fv.nn.linear{inputs=3, outputs=2}\n\nf(fv.ones(2))"))
tap.ok(text:find "^fovea: [^:\n]*layer.lua:3: linear: x: expected [^\n]*\n$", "what a layer refuses has the user's line",
       "%s", text)
text = sh(exe .. " " .. write("inside.lua",
          "local f = fv.nn.attention{width=4}\nf(fv.ones(1, 2, 4), {key_lenght=1})"))
tap.is(text:gsub("^fovea: [^:]*/", ""), "inside.lua:2: softmax: unknown option 'key_lenght' (did you mean 'key_length'?)\n",
       "and what is refused inside one, no place in the library")
text = sh(exe .. " " .. write("operator.lua", "local function f() return fv.nn.attention{width=4}(fv.ones(1, 2, 4), "
          .. "{key_length=9}) end\nlocal y = f()\n"))
tap.is(text:gsub("^fovea: [^:]*/", ""), "operator.lua:2: softmax_attention: key_length: expected 0 .. m=2, got 9\n",
       "nor what an operator in C refuses there")
local again = write("again.lua", [[
local m, d = fv.model{vocab=256, layers=1, width=8}, fv.data "text"
local o = {model=m, data=d, steps=1, quiet=true, batch={batch=1, length=4},
           loss=function(_, b) return m(b.ids, {key_length=9}):sum() end}
if arg[1] == "train" then fv.train(o) end
o.steps, o.quiet = nil, nil
fv.evaluate(o)]])
for i, how in ipairs { "train", "evaluate" } do
  text = sh(("%s %s %s"):format(exe, again, how))
  tap.is(text:gsub("^fovea: [^:]*/", ""), ("again.lua:%d: softmax_attention: key_length: expected 0 .. m=4, got 9\n"):format(
         2 + 2 * i), "nor where fv." .. how .. " raises it again")
end
text = sh(exe .. " -e 'local function f() fv.no_grad(function() local x = nil; x.y = 1 end) end f()'")
tap.ok(text:find "^fovea: %-e:1: attempt to index" and text:find "traceback", "a fault stays one in no_grad", "%s", text)
text = sh(exe .. " -e 'require \"fovea.options\".type(setmetatable({}, {__name = {}}))'")
tap.ok(text:find "options.lua:%d+: attempt to call" and text:find "traceback", "a fault of the library has its own", "%s",
       text)
text = sh(exe .. " -e 'error(\"mine\", 0)' 2>&1")
tap.is(text, "fovea: mine\n", "a message that the user gave no place has none")
text = sh(exe .. " " .. dir .. "/missing.lua")
tap.ok(text:find "^fovea: cannot open", "a missing script is one clear error", "%s", text)
text = sh(exe .. " run " .. dir)
tap.ok(text:find "no experiment at" and not text:find "traceback", "a missing experiment too", "%s", text)
text = sh(exe .. [[ -e 'local live, most = fv.zeros(8000000), 0
local x, before = fv.ones(64, 64), collectgarbage "count"
for i = 1, 3000 do
  local y = x + x
  most = math.max(most, collectgarbage "count" - before)
end
print(most)']])
tap.ok((tonumber(text) or 1 / 0) < 4096, "beside a large tensor, dropped small ones do not pile up", "%s KiB",
       text)

text = sh(exe .. " run experiments/kernel_comparison --drawz=3")
tap.ok(text:find "unknown option '%-%-drawz=3'", "experiments refuse unknown options", "%s", text)

text = sh(exe .. " run experiments/kernel_comparison --drawz=3")
tap.ok(text:find "did you mean '%-%-draws'", "and name the nearest", "%s", text)
for word, want in pairs { ["draws=1.5"] = "a whole number from 1",
                          ["source=txt"] = 'one of "text", "model", "both"' } do
  local message = "option --%s: expected %s, got '%s'"
  text = sh(exe .. " run experiments/kernel_comparison --" .. word)
  tap.ok(text:find(message:format(word:match "%w+", want, word:match "=(.*)"), 1, true),
         "and what their declarations do not take", "%s", text)
end
text = sh(exe .. " run experiments/kernel_comparison --only=zzz")
tap.ok(text:find "^fovea: %-%-only: expected [^\n]*, got 'zzz'\n$", "a method there is none of", "%s", text)
text = sh(exe .. " run experiments/kernel_comparison --text")
tap.ok(text:find "option %-%-text: expected %-%-text=value\n$", "and one without its value", "%s", text)
text = sh(exe .. " run experiments/kernel_comparison --out=" .. write("taken", "mine"))
tap.ok(text:find "^fovea: [^:\n]*run.lua:%d+: cannot write the results: mkdir: [^\n]*taken: [%w ]+\n$",
       "a folder that is a file", "%s", text)
is(exe .. " run --help",
       "usage: fovea run experiment [--name=value ...]\n       fovea run experiment --help\n",
   "run tells how it is used")
for _, v in ipairs { "FOVEA_THREADS=0", "FOVEA_THREADS=2x", "FOVEA_THREADS=999", "FOVEA_ISA=nonsense" } do
  text = sh("env " .. v .. " " .. exe .. " -e ''")
  tap.ok(text:find("fovea: " .. v:match "[%w_]+" .. ": expected [^\n]*, got '" .. v:match "=(.*)" .. "'\n$"),
         v .. " is refused", "%s", text)
end
is("env FOVEA_THREADS=3 FOVEA_ISA=base " .. exe .. " -e 'print(fv.threads(), fv.isa())'", "3\tbase\n",
   "what the environment asks for is done")

-- results appear whole or not at all
local results = require "fovea.results"
tap.raises("cannot write", "a folder that is not there", results.write, dir .. "/none/x.csv", "text")
tap.raises("no", "what fails half way", results.whole, dir .. "/half.csv", function(path)
  assert(io.open(path, "w")):write("half"):close()
  error("no", 0)
end)
tap.is(sh("ls " .. dir .. " | grep half"), "", "leaves nothing")
results.write(dir .. "/whole.csv", "text")
tap.is(sh("cat " .. dir .. "/whole*"), "text", "what is written is there, and alone")

-- Ctrl-C: the script catches the error, then works on in the same process
local function interrupted(body, name)
  local script = write("i.lua", ([[
    io.stdout:setvbuf "no"
    print "ready"
    local good, err = pcall(function() %s end)
    print(good, (tostring(err):gsub("^.-:%%d+: ", "")), fv.ones(3):sum():item())
  ]]):format(body))
  local out = dir .. "/out"
  local got = sh(([[
    %s %s > %s 2>&1 & p=$!
    for i in $(seq 200); do grep -q ready %s 2>/dev/null && break; sleep 0.05; done
    sleep 0.3; kill -INT $p; wait $p; cat %s]]):format(exe, script, out, out, out))
  tap.ok(got:find "false\tinterrupted!\t3.0", name, "%s", got)
end

-- a shell starts background jobs with SIGINT ignored; the launcher takes it back
interrupted("while true do end", "Ctrl-C ends a Lua loop, not the process")
interrupted("local x = fv.zeros(1, 16384, 64) for i = 1, 1000 do fv.softmax_attention(x, x, x) end",
            "Ctrl-C ends long work in C, not the process")
interrupted("local x = fv.zeros(3000, 3000) for i = 1, 1000 do x:matmul(x) end",
            "Ctrl-C ends a matrix product, not the process")

-- the prompt, in a pseudo-terminal
if os.execute "script -qec true /dev/null >/dev/null 2>&1 </dev/null" then
  write("typed",
         'local x = fv.ones(2,\n2)\nx:sum():item() + 1\nnonsense(\n)\n?zeros\nfv.softmax_attention(x, x)\n')
  local shown = sh(("FOVEA_HISTORY=%s/history TERM=dumb script -qec %s /dev/null < %s/typed")
    :format(dir, exe, dir)):gsub("\27%[[%d;?]*%a", "")
  tap.ok(shown:find "5%.0", "a block of two lines, a local that stays, a value shown", "%s", shown)
  tap.ok(shown:find "attempt to call a nil value", "an error keeps the prompt alive")
  tap.ok(shown:find "fv%.zeros%(n, ..., {dtype=}%)", "?name shows help")
  tap.ok(shown:find "v: expected a tensor, got no value", "a wrong call says what is missing")
  local h = io.open(dir .. "/history")
  tap.ok(h and h:read "a":find "x:sum", "history is kept")
  write("typed", "fv.zeros(-1)\n?nosuch\nfv.nosuch\nlocal function f() x() end\nf()\n")
  shown = sh(("FOVEA_HISTORY=%s/history TERM=dumb script -qec %s /dev/null < %s/typed"):format(dir, exe, dir))
  local _, traces = shown:gsub("stack traceback", "")
  tap.is(traces, 1, "a traceback only where functions of the user's were called")
  tap.ok(shown:find "\nhelp: nothing is named 'nosuch'", "?name that is unknown is one line", "%s", shown)
else
  print "# no script(1) or no pseudo-terminals here: the prompt is not driven"
end

-- completion, as the prompt asks for it
local session = require "fovea.session"
_G.fv = require "fovea"
local function completes(line, want)
  local list = session.complete(line)
  local found = false
  for _, c in ipairs(list) do found = found or c == want end
  tap.ok(found, ("%s completes to %s"):format(line, want), "%s", table.concat(list, " "))
end
_G.tensor_here = fv.zeros(1)
completes("fv.softmax_att", "fv.softmax_attention")
completes("tensor_here:resh", "tensor_here:reshape")
completes("fv.softmax_attention(q, k, v, {cau", "causal=")
completes('fv.map("hyp', "hyperbolic")
completes("whi", "while")

-- the same library in stock Lua
if os.execute "command -v lua5.4 >/dev/null 2>&1" and not build:find "san" then
  is(([[LUA_PATH='lua/?.lua;lua/?/init.lua' LUA_CPATH='%s/lib/?.so' lua5.4 -e 'local fv = require "fovea"
    print(fv.softmax_attention(fv.zeros(3, 2), fv.zeros(3, 2), fv.ones(3, 2)):sum():item())']]):format(build),
     "6.0\n", "loads in stock lua5.4")
end

sh("rm -rf " .. dir)
tap.done()
