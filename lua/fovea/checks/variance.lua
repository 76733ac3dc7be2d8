--- (variance over draws of phi(x).phi(y) - closed form) / standard error

local fv = require "fovea"

--- The closed form the map has: opt.variance, or that of fv.theory for its name and options.
local function law(s)
  if type(s.opt.variance) == "function" then return s.opt.variance end
  local own = type(s.thing) == "table" and rawget(s.thing, "options") or {}
  local name, known = s.opt.variance or s.name, false
  if name == "favor" then name = own.estimator end
  for _, n in ipairs(fv.theory.names()) do known = known or n == name end
  if not known then return nil end
  local entry = fv.theory.entry(name)
  return function(p, x, y)
    local spec, by = {}, entry.options.by
    for key, value in pairs(own) do if by[key] and key ~= "projection" then spec[key] = value end end
    if type(spec.sampler) == "table" then
      spec.norms, spec.sampler = spec.sampler.norms, spec.sampler[1]
    end
    spec.d, spec.features = p.d, p.m
    if entry.vectors then spec.x, spec.y = x:totable(), y:totable()
    else spec.xx, spec.yy, spec.xy = p.xx, p.yy, p.xy end
    local good, value = pcall(fv.theory.variance, name, spec)
    return good and value or nil, value
  end
end

return {
  name = "variance",
  doc = "The variance over draws of phi(x).phi(y) is that of the closed form.\n"
     .. "The form is that of fv.theory for its name, or the option variance=function{xx=, yy=, xy=, d=,\n"
     .. "m= features} -> variance, of scaled inputs. figure: the largest distance in standard errors\n"
     .. "over five pairs, one of them x = y and one x = -y.",
  kinds = "map",
  build = function()
    return {
      applies = function(s)
        if not s.caps.unbiased then return false, "its caps do not say unbiased" end
        return law(s) ~= nil, "no closed form of its variance is known; give variance=function"
      end,
      test = function(s)
        local d, draws = s.opt.d, 2 * s.opt.draws
        local scale = type(s.thing) == "table" and (rawget(s.thing, "options") or {}).scale or d ^ -0.25
        local x = s:rng("variance"):normal(5, d, { dtype = "f64" })
        x = x / x:square():sum(-1):sqrt():unsqueeze(-1) * (0.8 / scale)
        local y = s:roll(x, 1, 2)
        y = fv.cat({ x:slice(1, 1, 1), -x:slice(1, 2, 2), y:slice(1, 3, 5) * 1.2 }, 1)
        local sx, sy = x * scale, y * scale
        local xx, yy, xy = sx:square():sum(-1), sy:square():sum(-1), (sx * sy):sum(-1)
        local first, why = s:redrawn(1)
        if not first then return { skip = why } end
        local M = s:features(first, x):size(-1)
        local want, f = {}, law(s)
        for i = 1, 5 do
          local form, gone = f({ xx = xx:get(i), yy = yy:get(i), xy = xy:get(i), d = d, m = M }, sx[i], sy[i])
          if not form then return { skip = "no closed form for these options: " .. tostring(gone) } end
          want[i] = form
        end
        local list = {}
        for i = 1, draws do
          local phi = s:redrawn(i)
          list[i] = (s:features(phi, x, "q") * s:features(phi, y, "k")):sum(-1):to "f64"
        end
        local e = fv.stack(list, 1)                                        -- (draws, 5)
        local centred = e - e:mean(1)
        local v, fourth = centred:square():mean(1), (centred ^ 4):mean(1)
        local worst, note = 0, nil
        for i = 1, 5 do
          local got, se = v:get(i), math.sqrt(math.max(0, fourth:get(i) - v:get(i) ^ 2) / draws)
          -- a pair without variance has rounding only; a heavy tail makes the s.e. itself small
          local z = math.abs(got - want[i]) / (math.max(se, 0.05 * want[i]) + 1e-12)
          if z > worst or z ~= z then worst, note = z, ("%.4g, closed form %.4g"):format(got, want[i]) end
        end
        return { figure = worst, bound = 4.5, note = note }
      end
    }
  end
}
