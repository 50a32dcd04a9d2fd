const folds = Array.from(document.querySelectorAll('.branch > details'));
const branches = Array.from(document.querySelectorAll('.branch'));
const tools = document.querySelector('.tools');
tools.hidden = false;
tools.querySelectorAll('button').forEach(button => button.addEventListener('click', () => {
  folds.forEach(fold => {
    const above = fold.parentElement.querySelector('.branch');
    fold.open = button.dataset.open ? above !== null : false;
  });
}));
// A branch stays visible if a word in it, in a branch above it or in a branch below it matches.
tools.querySelector('input').addEventListener('input', event => {
  const wanted = event.target.value.trim().toLowerCase();
  document.querySelectorAll('.word').forEach(word => {
    word.classList.toggle('hit', wanted ? word.textContent.toLowerCase().includes(wanted) : false);
  });
  const hit = branch => branch.querySelector('.hit') !== null;
  const own = branch => branch.querySelector(':scope > .topic .hit, :scope > details > .topic .hit') !== null;
  branches.forEach(branch => {
    let under = false;
    for (let above = branch.parentElement; above; above = above.parentElement) {
      under = under || (above.classList.contains('branch') ? own(above) : false);
    }
    branch.hidden = wanted ? !(hit(branch) || under) : false;
  });
});
let opened = [];
addEventListener('beforeprint', () => {
  opened = Array.from(document.querySelectorAll('details:not([open])'));
  opened.forEach(fold => { fold.open = true; });
});
addEventListener('afterprint', () => opened.forEach(fold => { fold.open = false; }));
