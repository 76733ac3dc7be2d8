--- p <- p - lr sqrt(max(1, rows/columns)) NS(b),  b <- momentum b + g; adamw for what is no matrix

local fv = require "fovea"

--- An approximation of U V' where X = U S V': five steps of X <- a X + b (X X')X + c (X X')^2 X
--- bring every singular value near 1.
local function orthogonal(X, steps)
  local tall = X:size(1) > X:size(2)
  if tall then X = X:t() end
  X = X / (X:norm() + 1e-7)
  for _ = 1, steps do
    local A = X:matmul(X:t())
    X = X * 3.4445 + (A * -4.7750 + A:matmul(A) * 2.0315):matmul(X)
  end
  return tall and X:t() or X
end

return {
  name = "muon",
  doc = "Muon: the momentum of each matrix, made orthogonal by a Newton-Schulz iteration.\n"
     .. "b <- momentum b + g, u = g + momentum b,\n"
     .. "p <- (1 - lr weight_decay) p - lr sqrt(max(1, r/c)) NS(u) for matrices (r, c). What is no\n"
     .. "matrix, and what 'aside' names (embeddings, heads, short convolutions), takes steps of adamw\n"
     .. "with rate lr * aside_lr.",
  ref = "Jordan et al. 2024, https://kellerjordan.github.io/posts/muon",
  options = {
    { "momentum", "number", 0.95, "of the running gradient", lo = 0, hi = 0.9999999 },
    { "steps", "integer", 5, "of the iteration", lo = 1, hi = 100 },
    { "weight_decay", "number", 0, "decoupled weight decay", lo = 0 },
    { "decay_all", "boolean", false, "of vectors too" },
    { "aside", "string", "embed positions head conv", "words; parameters with one in their name take adamw" },
    { "aside_lr", "number", 0.05, "adamw's rate, as a part of lr", lo = 0 },
    { "beta1", "number", 0.9, "adamw's", lo = 0, hi = 0.9999999 },
    { "beta2", "number", 0.95, "adamw's", lo = 0, hi = 0.9999999 },
    { "eps", "number", 1e-8, "adamw's", lo = 0 }
  },
  example = 'opt = fv.optim("muon", model:parameters(), {lr=0.02})',
  build = function(opt)
    local adamw = fv.optim.entry("adamw").build(opt)
    local function aside(x, name)
      if x:ndim() ~= 2 then return true end
      for word in opt.aside:gmatch "%S+" do if name:find(word, 1, true) then return true end end
      return false
    end
    return {
      uses = { { "b" }, { "m", "v" } },
      orthogonal = orthogonal,
      update = function(self, x, g, s, p, t)
        if aside(x, p.name) then return adamw.update({ lr = self.lr * opt.aside_lr }, x, g, s, p, t) end
        if s.b then s.b:mul_(opt.momentum):add_(g) else s.b = g:clone() end
        local u = orthogonal(g + s.b * opt.momentum, opt.steps)
        if opt.weight_decay > 0 then x:mul_(1 - self.lr * opt.weight_decay) end
        x:sub_(u * (self.lr * math.max(1, x:size(1) / x:size(2)) ^ 0.5))
      end
    }
  end
}
