-- What a training run leaves: a result that prints, plots and saves itself; and the line
-- that shows it while it runs.

local core = require "fovea.core"
local braille = require "fovea.braille"
local live = require "fovea.live"
local options = require "fovea.options"
local progress = require "fovea.progress"
local results = require "fovea.results"

local training = {}

-- ---- model, data and loss, as fv.train and fv.evaluate take them ----

--- Whether x[name] can be read and is something.
function training.has(x, name)
  local good, f = pcall(function() return x[name] end)
  if not good and progress.stopped(f) then error(f, 0) end
  return good and f ~= nil
end

--- Raises unless opt.model and opt.data are a model and data.
function training.check(opt, who, level)
  if not training.has(opt.model, "parameters") then
    error(("%s: option 'model': expected a layer, or a table with parameters(), got %s"):format(who,
          options.type(opt.model)), level + 1)
  elseif not training.has(opt.data, "batch") then
    error(("%s: option 'data': expected an fv.data, or a table with batch(split, step, options), got %s")
          :format(who, options.type(opt.data)), level + 1)
  end
end

--- A batch; what the data raise is for the user, not about this call.
function training.batch(data, split, step, given)
  local good, batch = pcall(data.batch, data, split, step, given)
  if not good then error(batch, 0) end
  if type(batch) ~= "table" then
    error(("option 'data': expected its batch(...) to return a table, got %s"):format(options.type(batch)), 0)
  end
  return batch
end

--- The loss of next tokens.
function training.cross_entropy(model, batch)
  if batch.ids == nil or batch.labels == nil then
    local names = {}
    for name in pairs(batch) do names[#names + 1] = tostring(name) end
    table.sort(names)
    error(("option 'loss': unless given it takes 'ids' and 'labels' of a batch, which has %s; give one, such as "
      .. "function(m, b) return fv.nn.cross_entropy(m(b.x), b.y) end"):format(
          #names == 0 and "nothing" or "'" .. table.concat(names, "', '") .. "'"), 0)
  end
  return require "fovea".nn.cross_entropy(model(batch.ids), batch.labels)
end

-- ---- the result ----

local methods = {}

--- The evaluation with the lowest loss, or nil.
local function best(evals)
  local b
  for _, e in ipairs(evals) do
    if e.loss == e.loss and (not b or e.loss < b.loss) then b = e end
  end
  return b
end
training.best = best

local function lines(r)
  local list = {}
  if #r.history.loss > 0 then list[1] = { name = "training loss", x = {}, y = r.history.loss } end
  for i = 1, #r.history.loss do list[1].x[i] = i end
  if #r.evals > 0 then
    local l = { name = "validation loss", x = {}, y = {} }
    for i, e in ipairs(r.evals) do l.x[i], l.y[i] = e.step, e.loss end
    list[#list + 1] = l
  end
  return list
end

--- Writes the curves as .png or .svg.
function methods.plot(r, path)
  if type(path) ~= "string" then
    error(("plot: expected a path that ends in .png or .svg, got %s; printed, the result is a curve"):format(
          options.type(path)), 2)
  end
  return require "fovea.plot" { title = r.label, panels = { { title = "", xlabel = "step",
    ylabel = "loss", lines = lines(r) } } }:save(path)
end

--- Writes one row a step as CSV: step, loss, norm, and the evaluations where there was one.
function methods.save(r, path)
  if type(path) ~= "string" then
    error(("save: expected a path of a CSV file, got %s"):format(options.type(path)), 2)
  end
  local at, names, seen = {}, {}, { step = true }
  for _, e in ipairs(r.evals) do
    at[e.step] = e
    for key in pairs(e) do
      if not seen[key] then seen[key], names[#names + 1] = true, key end
    end
  end
  table.sort(names)
  local out = { "step,loss,norm" }
  for _, key in ipairs(names) do out[1] = out[1] .. ",validation_" .. key end
  for i, loss in ipairs(r.history.loss) do
    local row = { ("%d,%.17g,%.17g"):format(i, loss, r.history.norm[i]) }
    for j, key in ipairs(names) do row[j + 1] = at[i] and at[i][key] and ("%.17g"):format(at[i][key]) or "" end
    out[i + 1] = table.concat(row, ",")
  end
  results.write(path, table.concat(out, "\n") .. "\n")
  return path
end

local function text(r)
  local n = #r.history.loss
  local out = { ("%s: %s after %d steps, %.1f s"):format(r.label, r.status, r.step, r.seconds) }
  if n > 0 then
    local high, lo, hi = braille.curve(r.history.loss, 60, 5)
    for i, line in ipairs(high) do
      local level = i == 1 and hi or i == 5 and lo
      out[#out + 1] = ("%10s %s"):format(level and ("%.4g"):format(level) or "", line)
    end
    out[#out + 1] = ("training loss %.4f at the last step"):format(r.history.loss[n])
  end
  if r.final then
    local metrics = {}
    for key, v in pairs(r.final) do
      if key ~= "loss" and key ~= "step" then metrics[#metrics + 1] = (", %s %.4g"):format(key, v) end
    end
    table.sort(metrics)
    out[#out + 1] = ("validation loss %.4f%s at step %d"):format(r.final.loss, table.concat(metrics), r.final.step)
      .. (r.best and (", best %.4f at step %d"):format(r.best.loss, r.best.step) or "")
  end
  if r.diverged then out[#out + 1] = r.diverged end
  return table.concat(out, "\n")
end

function training.result(r)
  r.best, r.final = best(r.evals), r.evals[#r.evals]
  return setmetatable(r, { __index = methods, __tostring = text, __name = "fovea.training" })
end

-- ---- the line ----

local line = {}
line.__index = line

--- A line that is redrawn on a terminal; elsewhere one line each 'every' seconds.
function training.line(label, steps, every, quiet)
  local terminal = live.columns() ~= nil
  return setmetatable({ label = label, steps = steps, live = terminal, quiet = quiet, start = core.clock(),
                        every = terminal and 0.1 or every, next = core.clock() + (terminal and 0 or every),
                        amount = 0, drawn = false }, line)
end

--- The label, a bar and the curve of the losses before 'words', in fewer than 'columns' where
--- that can be: what is narrow loses the bar, then the curve.
function training.drawn(label, part, losses, words, columns)
  local gap = "  "
  local function width(s) return utf8.len(s) or #s end       -- a label may be any bytes
  local function room() return columns - 2 - width(label .. gap .. table.concat(words, gap)) end
  if room() < 13 then gap = " " end
  local curve = math.min(12, room() >= 9 and room() - 5 or room())
  local wide = math.min(16, room() - curve - 1)
  local parts = { label }
  if wide >= 4 then parts[2] = live.bar(part, wide) end
  if curve >= 4 then parts[#parts + 1] = braille.curve(losses, curve, 1)[1] end
  return table.concat(parts, " ") .. gap .. table.concat(words, gap)
end

--- After a step; first: the first step of this process; count: how many tokens (unit) its
--- batch had.
function line:step(step, losses, first, validation, count, unit)
  self.amount = self.amount + count
  local now = core.clock()
  if self.quiet or (now < self.next and step < self.steps) then return end
  self.next = now + self.every
  local spent = now - self.start
  local rate = self.amount / spent
  local words = { ("%d/%d"):format(step, self.steps), ("loss %.4f"):format(losses[#losses]) }
  if validation then words[#words + 1] = ("validation %.4f"):format(validation) end
  words[#words + 1] = (rate >= 1e4 and "%.0fk" or "%.0f"):format(rate >= 1e4 and rate / 1e3 or rate)
    .. (" %s/s"):format(unit)
  words[#words + 1] = live.time(spent / (step - first + 1) * (self.steps - step)) .. " left"
  if self.live then
    local columns = (live.columns() or 80) - 2              -- room for the ^C that a terminal shows
    self.drawn = true
    live.draw(training.drawn(self.label, step / self.steps, losses, words, columns), columns)
  else
    io.stderr:write(self.label, " ", table.concat(words, "  "), "\n")
  end
end

--- A line of its own, whatever is being drawn.
function line:say(message)
  if self.quiet then return end
  if self.drawn then live.clear() end
  io.stderr:write(self.label, ": ", message, "\n")
  self.drawn = false
end

function line:finish()
  if self.drawn then live.clear() end
  return core.clock() - self.start
end

return training
