def log1mexp(x: Tensor) -> Tensor:
  near = torch.log(torch.neg(torch.expm1(torch.clamp(x, min=-0.6931471805599453))))
  far = torch.log1p(torch.neg(torch.exp(torch.clamp(x, max=-0.6931471805599453))))
  return torch.where(torch.gt(x, -0.6931471805599453), near, far)

def log_incomplete_gamma(k: int, x: Tensor, lower_levels: int, upper_levels: int) -> Tuple[Tensor, Tensor]:
  a = float(k)
  below = torch.clamp(x, max=a + 1.)
  above = torch.clamp(x, min=a + 1.)
  t = torch.ones_like(below)
  for j in range(lower_levels):
    i = lower_levels - j
    m = float(i // 2)
    if i % 2 == 0:
      c = m / ((a + 2. * m - 1.) * (a + 2. * m))
    else:
      c = 0. - (a + m) / ((a + 2. * m) * (a + 2. * m + 1.))
    t = below * c / t + 1.
  log_p = torch.log(below) * a - below - torch.lgamma(a + 1.) - torch.log(t)
  u = above + (float(2 * upper_levels + 1) - a)
  for j in range(upper_levels):
    i = float(upper_levels - j)
    u = above + (2. * i - 1. - a) - torch.reciprocal(u) * (i * (i - a))
  log_q = torch.log(above) * a - above - torch.lgamma(a) - torch.log(u)
  is_below = torch.le(x, a + 1.)
  lower = torch.where(is_below, log_p, __torch__.log1mexp(log_q, ))
  upper = torch.where(is_below, __torch__.log1mexp(log_p, ), log_q)
  return (lower, upper)

def log_incomplete_beta(a: float, b: Tensor, log_x: Tensor, log_y: Tensor, log_factor: Tensor, levels: int) -> Tuple[Tensor, Tensor]:
  a_ = torch.full_like(b, a)
  swap = torch.gt(torch.exp(log_x), (a_ + 1.) / (a_ + b + 2.))
  p = torch.where(swap, b, a_)
  q = torch.where(swap, a_, b)
  u = torch.exp(torch.where(swap, log_y, log_x))
  t = torch.ones_like(u)
  for j in range(levels):
    i = levels - j
    m = float(i // 2)
    if i % 2 == 0:
      d = (q - m) * m / ((p + (2. * m - 1.)) * (p + 2. * m))
    else:
      d = torch.neg(p + m) * (p + q + m) / ((p + 2. * m) * (p + (2. * m + 1.)))
    t = d * u / t + 1.
  small = log_factor - torch.log(p) - torch.log(t)
  large = __torch__.log1mexp(small, )
  return (torch.where(swap, large, small), torch.where(swap, small, large))

def correction(x: Tensor) -> Tensor:
  s = torch.square(torch.reciprocal(x))
  series = ((-1. / 1680. * s + 1. / 1260.) * s - 1. / 360.) * s + 1. / 12.
  return series / x

def log_gamma_ratio(x: Tensor, d: Tensor) -> Tensor:
  end = x + d
  is_large = torch.logical_and(torch.ge(x, 20.), torch.ge(end, 20.))
  x_large = torch.clamp(x, min=20.)
  end_large = torch.clamp(end, min=20.)
  step = torch.where(is_large, d, end_large - x_large)
  stirling = (x_large - 0.5) * torch.log1p(step / x_large) + step * torch.log(end_large) - step
  large = stirling + __torch__.correction(end_large, ) - __torch__.correction(x_large, )
  small = torch.lgamma(end + 1.) - torch.lgamma(x + 1.) - torch.log1p(d / x)
  return torch.where(is_large, large, small)
