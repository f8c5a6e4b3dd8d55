// The search takes a word after "-" as one to leave out; who pastes an option (--max-cost) means the option.
document.addEventListener("input", ({ target }) => {
  if (target.matches(".md-search__input")) {
    const plain = target.value.replace(/(^|\s)-+(?=\w)/g, "$1")
    if (plain !== target.value) target.value = plain
  }
}, true)
