--- fv.schedule(name, {lr=, steps=, warmup=}) -> function(step) -> lr: rates of a run.
--- The first 'warmup' steps rise in a line to lr, step 1 having lr / warmup; the rest is the
--- schedule's own. step counts from 1; beyond 'steps' the last rate stays.
--- Example: rate = fv.schedule("cosine", {lr=1e-3, steps=1000, warmup=100}); opt.lr = rate(1)


--- What every schedule gets: the warm-up, and the part of the rest that has passed.
local function finish(object)
  local shape, opt = object.shape, nil
  object.call = function(self, step)
    opt = opt or self.options
    if math.type(step) ~= "integer" or step < 1 then
      error(("%s: step: expected a whole number from 1, got %s"):format(self.name, tostring(step)), 2)
    end
    if step <= opt.warmup then return opt.lr * step / opt.warmup end
    local rest = math.max(1, (opt.steps or step) - opt.warmup)
    return opt.lr * shape(math.min(1, (step - opt.warmup) / rest))
  end
end

local function prepare(values, name, level)
  if values.steps and values.steps < values.warmup then
    error(("%s: option 'warmup': expected at most steps=%d, got %d"):format(name, values.steps,
          values.warmup), level + 1)
  end
end

return require "fovea.registry".new {
  kind = "schedule", folder = "fovea.schedules", finish = finish, prepare = prepare,
  common = {
    { "lr", "number", nil, "the highest rate", required = true, lo = 0 },
    { "warmup", "integer", 0, "steps of the rise", lo = 0 }
  }
}
