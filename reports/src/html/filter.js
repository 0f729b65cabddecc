document.querySelectorAll("input[data-filters]").forEach(function (input) {
  var rows = document.getElementById(input.dataset.filters).tBodies[0].rows;
  input.hidden = false;
  input.addEventListener("input", function () {
    var words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (var i = 0; i < rows.length; i++) {
      var text = rows[i].textContent.toLowerCase();
      rows[i].hidden = !words.every(function (word) { return text.includes(word); });
    }
  });
});
