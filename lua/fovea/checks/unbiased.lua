--- (mean over draws of phi(x).phi(y) - k(x, y)) / standard error

return {
  name = "unbiased",
  doc = "The mean over draws of phi(x).phi(y) is the kernel the map claims.\n"
     .. "figure: the largest distance in standard errors over 16 pairs of rows of norm about 0.9 (after\n"
     .. "scaling); beyond 4.5 by chance once in 9,000 checks. An exact map is compared to 1e-11\n"
     .. "instead.",
  kinds = "map",
  build = function()
    return {
      applies = function(s)
        if not (s.caps.unbiased or s.caps.exact) then return false, "its caps do not say unbiased" end
        return s.claim ~= nil and s.claim ~= false, 'no kernel is known; give kernel="softmax" or a function'
      end,
      test = function(s)
        local d = s.opt.d
        local c = 0.9 / d ^ 0.25                  -- |d^-1/4 x| is about 0.9
        local x = s:draw({ n = 4, purpose = "left", scale = c })[1]
        local y = s:draw({ n = 4, purpose = "right", scale = c })[1]
        local want = s.claim(x, y)
        if s.caps.exact then
          local got = s:features(s.thing, x, "q"):matmul(s:features(s.thing, y, "k"):t())
          return { figure = s:gap(got, want), bound = 1e-11, note = "deterministic" }
        end
        local n, sum, square = s.opt.draws, want * 0, want * 0
        for i = 1, n do
          local phi, why = s:redrawn(i)
          if not phi then return { skip = why } end
          local e = s:features(phi, x, "q"):matmul(s:features(phi, y, "k"):t()):to "f64" - want
          sum, square = sum + e, square + e * e
        end
        local mean = sum / n
        local se = ((square / n - mean * mean) / (n - 1)):sqrt()
        local z = mean:abs() / (se + want:abs() * 1e-14)
        local at = z:reshape(-1):argmax():item()
        local note = ("mean %.4g of the kernel, s.e. %.2g, %d draws"):format(
          1 + (mean / want):reshape(-1):get(at), (se / want):reshape(-1):get(at), n)
        return { figure = z:max():item(), bound = 4.5, note = note }
      end
    }
  end
}
