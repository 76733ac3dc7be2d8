-- The benchmark: what it writes, how it compares, how it asks its peers.

package.path = "experiments/bench/?.lua;" .. package.path
local tap = require "tap"
local files = require "files"
local fv = require "fovea"
local compare, json, timing = require "compare", require "json", require "timing"
local process = require "process"

local dir, spit, slurp = files.dir, files.write, files.slurp

--- What a run of the benchmark prints, errors included.
local function bench(options)
  local pipe = io.popen(("%s run experiments/bench --quick --out=%s %s 2>&1"):format(
    process.quote(process.executable()), dir, options))
  local text = pipe:read "a"
  return text, pipe:close()
end

-- JSON
local all = { a = { 1, 2.5, { x = 'q"\\\n\1é' } }, b = {}, c = true, d = 0.1, e = { { f = 1e-300 }, { g = -3 } } }
tap.is(json.encode(json.decode(json.encode(all))), json.encode(all), "JSON is read back as it was written")
tap.ok(json.decode(json.encode { 0.1 })[1] == 0.1 and math.type(json.decode "[7]"[1]) == "integer",
       "numbers keep every bit and their kind")
tap.is(json.decode ' { "k" : "\\u00e9\\/" , "n" : null } '.k, "é/", "escapes and space are read")
for _, text in ipairs { "", "{", "[1,2", '{"a":}', "[1] 2", '"a', "nan", "[1 2]" } do
  tap.raises("^json: line 1: expected", ("%q is refused"):format(text), json.decode, text)
end

-- timing
local order = {}
local function said(word) return function() order[#order + 1] = word return 1 end end
local taken = timing.alternate({ said "a", said "b" }, 0, 3, 10)
tap.is(table.concat(order), "ababab", "sides take turns, for at least the rounds asked")
tap.ok(#taken[1] == 3 and #taken[2] == 3, "a sample of each side a round")
tap.is(#timing.alternate({ function() return 0 end }, 60, 1, 4)[1], 4, "and at most so many")
tap.is(timing.text(0.00123) .. " " .. timing.text(12.34e-6) .. " " .. timing.text(2e-10) .. " " .. timing.text(99.96),
       "1.23 ms 12.3 us 0.20 ns 100 s", "times as people read them")

-- one run
local out, good = bench "--only=a+b --python=/nonexistent"
tap.ok(good and out:find "a%+b 64x64 +%w+ +1 ", "a run prints its rows", "%s", out)
tap.ok(out:find("peers skipped: no '/nonexistent' here", 1, true), "says why there are no peers")
local run = json.decode(slurp(dir .. "/bench.json"))
local row = run.rows[2]
tap.ok(#run.rows == 2 and row.name == "a+b 64x64" and row.threads == 1 and row.isa == fv.isa(), "writes them as JSON")
tap.ok(0 < row.p10 and row.p10 <= row.median and row.median <= row.p90 and row.samples >= 3, "with median and spread")
tap.is(run.machine.cpu, fv.info().cpu, "and the machine")

-- against an earlier run
local function doctored(factor, change)
  local was = json.decode(json.encode(run))
  for _, r in ipairs(was.rows) do
    for _, k in ipairs { "p10", "median", "p90" } do r[k] = r[k] * factor end
  end
  if change then change(was) end
  return spit("base.json", json.encode(was))
end
out = bench("--only=a+b --peers=none --base=" .. doctored(1e-4))
tap.ok(out:find "a%+b 2x2 [^\n]* slower" and out:find("2 of 2 rows slower", 1, true), "what got slower is marked", "%s", out)
out = bench("--only=a+b --peers=none --base=" .. doctored(1e4, function(was) was.machine.cpu = "abacus" end))
tap.ok(out:find "a%+b 2x2 [^\n]* faster" and out:find("0 of 2 rows slower", 1, true), "and what got faster")
tap.ok(out:find("with cpu 'abacus'", 1, true), "another machine is told")
local new, base = { name = "x", threads = 1, isa = "v4", p10 = 2, median = 3, p90 = 4 }, {}
base["x|1|v4"] = { p10 = 1, median = 1.5, p90 = 2 }
compare.mark(new, base)
tap.ok(new.change == 2 and new.verdict == nil, "spreads that meet give no verdict")

-- what is refused
for options, want in pairs {
  ["--quik"] = "unknown option '%-%-quik'", ["--only=zzz"] = "no row contains 'zzz'; there are\n  softmax n=128\n",
  ["--threads=1,0"] = "%-%-threads: expected whole numbers from 1 to 256, got '0'",
  ["--isa=v9"] = "%-%-isa: expected base to v%d on this CPU, got 'v9'",
  ["--peers=fast"] = "%-%-peers: expected tuned, stock or none, got 'fast'",
  ["--base=/nonexistent"] = "%-%-base: cannot read /nonexistent",
  ["--base=Makefile"] = "'Makefile' is no result of this benchmark",
  ["--memory=zzz"] = "no row is named 'zzz'", ["--seconds=0"] = "%-%-seconds: expected",
} do
  local text, fine = bench(options)
  tap.ok(not fine and text:find(want), options .. " is an error", "%s", text)
end
tap.ok(tonumber((bench "--memory='a+b 2x2'")) > 1, "peak memory of one row, in MiB")

-- peers: stand-ins that speak the protocol
local function stand_in(name, script)
  local path = spit(name, "#!/bin/sh\n" .. script)
  os.execute("chmod +x " .. path)
  return path
end
local steady = stand_in("steady", [[
echo "ready stand-in 1.0 with $OMP_NUM_THREADS threads"
while read -r what family form rest; do
  case $what.$form in
    make.add) echo ok 3 0.1;; make.*) echo missing a library;; clear.*) echo ok;; *) [ "$family" = 3 ] && echo 2.5;;
  esac
done]])
out, good = bench("--only='a+b 64x64' --threads=2 --peers=stock --python=" .. steady)
row = json.decode(slurp(dir .. "/bench.json")).rows[1]
tap.ok(good and #row.peers == 1 and row.peers[1].median == 2.5 and row.peers[1].samples == row.samples,
       "a peer gives a sample a round", "%s", out)
tap.close(row.peers[1].ratio, 2.5 / row.median, 1e-12, "the ratio is its median over ours")
tap.ok(out:find("elementwise.add (stock)", 1, true) and out:find("stand-in 1.0 with 2 threads", 1, true),
       "the table names it, the head its version, with our number of threads")
tap.ok(out:find("peer elementwise.add_numpy: missing a library", 1, true), "a peer that is missing is told")
local slow = stand_in("slow", [[
echo "ready stand-in 1.0"
while read -r what family form rest; do
  case $what.$form in
    make.add) echo ok 0 7.5;; make.*) echo ok 1 0.5;; clear.*) echo ok;; *) [ "$family" = 1 ] && echo 0.25;;
  esac
done]])
out, good = bench("--only='a+b 64x64' --peers=stock --python=" .. slow)
row = json.decode(slurp(dir .. "/bench.json")).rows[1]
tap.ok(good and #row.peers == 2 and row.peers[1].median == 7.5 and row.peers[1].once
       and row.peers[2].median == 0.25 and not row.peers[2].once,
       "two forms of a peer are two calls; a slow one is timed once", "%s", out)
tap.ok(out:find("a+b 64x64: peer elementwise.add, stock: timed once, 7.5 s", 1, true), "and the run says so")
out, good = bench("--only='a+b 64x64' --peers=stock --python=" .. stand_in("mortal", "echo ready once; read -r line"))
tap.ok(good and out:find("peer elementwise.add: ended", 1, true), "a peer that dies is told", "%s", out)
out, good = bench("--only='a+b 64x64' --peers=stock --python=" .. stand_in("bare", "echo 'ready '; cat >/dev/null"))
tap.ok(good and out:find("has neither torch nor numpy", 1, true), "a Python without packages too", "%s", out)
out, good = bench("--only='a+b 64x64' --peers=stock --python=" .. stand_in("broken", "echo no such thing >&2; exit 1"))
tap.ok(good and out:find("broken ended: no such thing", 1, true), "and one that does not start", "%s", out)

-- the machine's limits
local quick = { seconds = 0.005 }
for _, what in ipairs { "flops", "exp", "cos", "copy" } do
  local rate = fv.peak(what, quick)
  tap.ok(rate > 1e6 and rate < 1e15, "a rate of " .. what, "%g", rate)
end
tap.raises("invalid option 'flop'", "rates have names", fv.peak, "flop")
tap.raises("unknown option 'second'", "and known options", fv.peak, "exp", { second = 1 })
tap.raises("'seconds': expected a number from 0 to 60, got %-1", "in range", fv.peak, "exp", { seconds = -1 })

os.execute("rm -r " .. dir)
tap.done()
