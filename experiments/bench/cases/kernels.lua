--- Gram matrices of 2048 vectors of width 64, Nystrom features, kernel ridge regression. A matrix
--- of x with itself needs half of the products and of the exponentials.

local fv = require "fovea"

local n, d, m = 2048, 64, 256
local list = {}

--- 'flops' of one entry, with its product; exps and roots are counted as exps.
local function gram(name, options, flops, exps, peer)
  for _, same in ipairs { true, false } do
    local entries = same and n * (n + 1) / 2 or n * n
    list[#list + 1] = {
      name = ("%s kernel 2048x2048%s"):format(name, same and "" or " of x and y"), memory = true,
      flops = entries * flops, exps = entries * exps,
      make = function(rng)
        local x, y = fv.randn(n, d, { rng = rng }), fv.randn(n, d, { rng = rng })
        local k = fv.kernel(name, options)
        return same and function() return k(x) end or function() return k(x, y) end
      end,
      peers = peer and { { "sklearn_forms", "kernel", name = peer, n = n, same = same } },
    }
  end
end

gram("gaussian", { scale = d ^ -0.5 }, 2 * d, 1, "rbf")
gram("laplacian", { scale = 1 / d }, 3 * d, 1, "laplacian")
gram("polynomial", { degree = 3, scale = d ^ -0.5 }, 2 * d, 0, "poly")
gram("matern", { nu = 1.5, scale = d ^ -0.5 }, 2 * d, 2, "matern")

list[#list + 1] = {
  name = "gaussian kernel 2048x2048 f+b", memory = true, flops = 5 * n * n * 2 * d, exps = 3 * n * n,
  make = function(rng)
    local x, y = fv.randn(n, d, { rng = rng }):requires_grad(), fv.randn(n, d, { rng = rng }):requires_grad()
    local k, g = fv.kernel("gaussian", { scale = d ^ -0.5 }), fv.randn(n, n, { rng = rng })
    return function()
      x.grad, y.grad = nil, nil
      k(x, y):backward(g)
    end
  end
}

list[#list + 1] = {
  name = "nystroem features 4096x64->256", flops = 2 * 4096 * m * (d + m), exps = 4096 * m,
  make = function(rng)
    local x, l = fv.randn(4096, d, { rng = rng }), fv.randn(m, d, { rng = rng })
    local phi = fv.nystroem { kernel = { "gaussian", scale = d ^ -0.5 }, points = l,
                              core = { "truncated", rcond = 0 } }
    return function() return phi(x) end
  end,
  peers = { { "sklearn_forms", "nystroem", n = 4096 } },
}

list[#list + 1] = {
  -- the Gram matrix, a Cholesky factor and two triangular solves, in f64
  name = "kernel ridge fit 1024", flops = 1024 ^ 2 * d + 1024 ^ 3 / 3 + 2 * 1024 ^ 2,
  make = function(rng)
    local x, y = fv.randn(1024, d, { rng = rng }), fv.randn(1024, { rng = rng })
    local krr = fv.krr { kernel = { "gaussian", scale = d ^ -0.5 }, lambda = 0.1 }
    return function() return krr:fit(x, y) end
  end,
  peers = { { "sklearn_forms", "ridge", n = 1024 } },
}

return list
