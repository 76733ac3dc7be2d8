--- |w|^2: mean d and variance 2 d (chi), or d exactly (sqrt_d)

return {
  name = "draws_norms",
  doc = "Norms of the rows of a sampler are those of Gaussian vectors, or sqrt(d).\n"
     .. "|w|^2 has mean d and variance 2d, or is d with norms=\"sqrt_d\". figure: the larger distance in\n"
     .. "standard errors, or of |w|^2/d from 1.",
  kinds = "sampler",
  build = function()
    return {
      test = function(s)
        local d, square = s.opt.d, s:all():square():sum(-1)                  -- (draws, rows)
        if s.norms == "sqrt_d" then
          local gap = (square / d - 1):abs():max():item()
          return { figure = gap, bound = 1e-6,
                   note = ("mean |w|^2 %.4g, d = %d"):format(square:mean():item(), d) }
        end
        local N, worst, note = square:size(1), 0, nil
        for moment, want in ipairs { d, 2 * d } do
          local x = (moment == 1 and square or (square - d) ^ 2):mean(-1)    -- one value a draw
          local se = math.sqrt(x:var():item() / N)
          local z = math.abs(x:mean():item() - want) / (se + 1e-12)
          if z > worst then
            worst = z
            note = ("%s of |w|^2 %.4g for %d"):format(moment == 1 and "mean" or "variance",
                                                      x:mean():item(), want)
          end
        end
        if not s.caps.unbiased then
          return { figure = worst, note = (note or "") .. "; its caps do not say unbiased" }
        end
        return { figure = worst, bound = 4.5, note = note }
      end
    }
  end
}
