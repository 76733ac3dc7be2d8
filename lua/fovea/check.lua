--- fv.check(thing, {kind=, seed=, n=, d=, ...}) -> report: tests what a thing claims to be
--- thing is what fv.map, fv.kernel, fv.attention or fv.rule made, an operator of fv.ops, the name
--- of any of these or of a sampler, or a function of yours with kind= and caps=. Every property
--- (fv.property.names()) that its kind and its caps call for is tested against a plain f64
--- definition, differences, perturbation or standard errors; a table is printed, with what was
--- not tested and why. report.passed is true where nothing failed, report.failed lists the names
--- of the properties that did, report.rows has {property, verdict, figure, bound, note} for each,
--- report:text() is the table, report:assert() raises on failure. Takes 0.01 to 1 s.
--- Options: name= (of a function), options= (of a thing given by name), caps= ("unbiased nonneg"),
--- kernel= (what a map estimates: a name or function), variance= (its closed form), redraw=
--- function(i) -> map, reference= (the definition, or the name of one), sig= (of an operator that
--- is a function), only=, skip= (properties), draws=, quiet=, strict= (raise on failure).
--- Example: fv.check("favor", {kind="attention", options={features=64}})
---          fv.check(function(x) return x:relu() end, {kind="map", caps="nonneg"}):assert()

local options = require "fovea.options"

local list = options.declare({
  { "kind", "string", nil, "what the thing is, where that is not clear",
    choices = { "map", "sampler", "kernel", "attention", "rule", "operator" } },
  { "name", "string", nil, "what to call it" },
  { "options", "table", nil, "options of a thing given by name" },
  { "caps", "string", nil, "what it claims, instead of its own caps" },
  { "kernel", "string|function", nil, "the kernel a map claims to estimate, of raw x and y" },
  { "variance", "string|function", nil, "closed form of the variance, or whose it is" },
  { "redraw", "function", nil, "redraw(i) -> the map with draw i" },
  { "reference", "string|function", nil, "the definition: same arguments, same result" },
  { "norms", "string", nil, "norms of a sampler's rows", choices = { "chi", "sqrt_d" } },
  { "sig", "string", nil, "signature of an operator that is a function" },
  { "seed", "integer", 1, "of inputs and draws" },
  { "n", "integer", 24, "rows (queries, tokens)", lo = 2, hi = 4096 },
  { "m", "integer", 30, "keys", lo = 4, hi = 4096 },
  { "d", "integer", 8, "width, where the thing has none", lo = 1, hi = 1024 },
  { "e", "integer", 6, "width of values", lo = 1, hi = 1024 },
  { "rows", "integer", nil, "rows of a sample; 2 d unless given", lo = 1, hi = 4096 },
  { "draws", "integer", nil, "independent draws; 300 of a map, 1500 of a sampler", lo = 30, hi = 1000000 },
  { "only", "string", nil, "names of the properties to test" },
  { "skip", "string", nil, "names of properties to leave out" },
  { "quiet", "boolean", false, "print nothing" },
  { "strict", "boolean", false, "raise where something failed" }
}, "check", 1)

local report = {}

local function number(x)
  if x == nil then return "" end
  return x == 0 and "0" or ("%.2g"):format(x)
end

--- The rows as an aligned table, then what was not tested.
function report.text(self)
  local out, wide, untested = { tostring(self) }, 0, {}
  for _, r in ipairs(self.rows) do wide = math.max(wide, #r.property) end
  for _, r in ipairs(self.rows) do
    if r.verdict == "not tested" then
      untested[#untested + 1] = ("  %-" .. wide .. "s  %s"):format(r.property, r.note)
    else
      local line = ("  %-" .. wide .. "s  %-6s  %8s %-9s %s"):format(r.property,
        r.verdict == "fail" and "FAIL" or r.verdict, number(r.figure),
        r.bound and "<= " .. number(r.bound) or "", r.note or "")
      out[#out + 1] = line:gsub("%s+$", "")
    end
  end
  if #untested > 0 then
    out[#out + 1] = "  not tested:"
    table.move(untested, 1, #untested, #out + 1, out)
  end
  return table.concat(out, "\n")
end

--- Raises where something failed, else returns the report.
function report.assert(self)
  if self.passed then return self end
  local lines = {}
  for _, r in ipairs(self.rows) do
    if r.verdict == "fail" then
      lines[#lines + 1] = ("%s: %s%s%s"):format(r.property, number(r.figure),
        r.bound and " > " .. number(r.bound) or "", r.note and " (" .. r.note .. ")" or "")
    end
  end
  error(("check: %s '%s' fails %s"):format(self.kind, self.name, table.concat(lines, "; ")), 2)
end

local meta = { __index = report, __name = "fovea.report" }

function meta.__tostring(self)
  local count = { pass = 0, report = 0, ["not tested"] = 0 }
  for _, r in ipairs(self.rows) do count[r.verdict] = (count[r.verdict] or 0) + 1 end
  return ("check %s %s: %s%d passed, %d reported, %d not tested"):format(self.kind, self.name,
    self.passed and "" or "FAILS " .. table.concat(self.failed, ", ") .. "; ", count.pass, count.report,
    count["not tested"])
end

local function words(text)
  if not text then return nil end
  local set = {}
  for word in text:gmatch "[%w_]+" do
    require "fovea.property".entry(word)                       -- raises, with the nearest name
    set[word] = true
  end
  return set
end

--- One row: what a property says of a subject.
local function examine(property, s)
  local row = { property = property.name, verdict = "not tested" }
  if rawget(property, "applies") then
    local yes, why = property.applies(s)
    if not yes then
      row.note = why or "it does not claim that"
      return row
    end
  end
  local good, result = pcall(property.test, s)
  if not good then
    if tostring(result):find "interrupted" then error(result, 0) end
    local text = tostring(result)
    if text:find "not differentiable" or text:find "first derivatives only" then
      row.note = text
      return row
    end
    row.verdict, row.note = "fail", "raised: " .. text
    return row
  end
  if result.skip then
    row.note = result.skip
    return row
  end
  row.figure, row.bound, row.note = result.figure, result.bound, result.note
  row.verdict = result.bound == nil and "report"
    or result.figure and result.figure <= result.bound and "pass" or "fail"
  return row
end

return function(thing, given)
  if thing == nil then error("check: expected a thing to check, got nothing; see fv.help('check')", 2) end
  local opt = options.read(list, given, "check", 3)
  local property = require "fovea.property"
  local only, skip = words(opt.only), words(opt.skip)
  local good, s = pcall(require("fovea.subject").new, thing, opt)
  if not good then error((tostring(s):gsub("^%S-%.lua:%d+: ", "")), 2) end
  opt.draws = opt.draws or (s.kind == "sampler" and 1500 or 300)
  opt.rows = opt.rows or 2 * opt.d
  local self = setmetatable({ kind = s.kind, name = s.name, rows = {}, failed = {}, passed = true }, meta)
  for _, name in ipairs(property.names()) do
    local about = (" " .. property.entry(name).kinds .. " "):find(" " .. s.kind .. " ", 1, true)
    if about and (not only or only[name]) and not (skip and skip[name]) then
      local row = examine(property(name), s)
      self.rows[#self.rows + 1] = row
      if row.verdict == "fail" then
        self.failed[#self.failed + 1] = name
        self.passed = false
      end
    end
  end
  if not opt.quiet then print(self:text()) end
  if opt.strict and not self.passed then
    local ok, why = pcall(report.assert, self)
    if not ok then error(why, 2) end
  end
  return self
end
