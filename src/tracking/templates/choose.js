const $=id=>document.getElementById(id),every=(css,on=document)=>[...on.querySelectorAll(css)];
const cards=every('.blends figure'),sheets=JSON.parse($('sheets').textContent),grid=$('choose').querySelector('.blends');
const byId=Object.fromEntries(cards.map(card=>[card.id,card])),box=card=>card.querySelector('.pick');
const picture=card=>card.querySelector('img')?.src||'',picked=()=>cards.filter(card=>box(card).checked);
const cardOf=mark=>byId[mark.getAttribute('href').slice(1)],marks=every('svg a').filter(cardOf);

function sort(){
 const key=$('sort').value,down=key=='kimg'?1:-1;
 grid.append(...cards.sort((a,b)=>down*(a.dataset[key]-b.dataset[key])||b.dataset.cari-a.dataset.cari))}
function filter(){
 document.body.classList.toggle('hide-failing',!!$('passing')?.checked);
 $('none').hidden=cards.some(card=>!card.classList.contains('failing')||!$('passing')?.checked)}
function choose(card,on=!box(card).checked){box(card).checked=on;show()}
function show(){
 const chosen=picked();
 cards.forEach(card=>card.classList.toggle('picked',box(card).checked));
 marks.forEach(mark=>mark.classList.toggle('picked',box(cardOf(mark)).checked));
 $('tray').hidden=!chosen.length;$('compare').textContent=`compare ${chosen.length}`;
 $('chosen').replaceChildren(...chosen.map(card=>{
  const button=document.createElement('button'),image=new Image();
  button.type='button';button.title=`without ${card.dataset.title}`;image.src=picture(card);image.alt=card.dataset.title;
  button.append(image);button.onclick=()=>choose(card,false);return button}))}

let face=null; // of the sixteen, or all
function turn(to){
 face=to;$('columns').classList.toggle('one',face!==null);
 $('which').textContent=face===null?'all sixteen':`face ${face+1} of 16`;
 if(face!==null)$('columns').style.cssText=`--column:${face%4};--row:${face>>2}`}
const step=by=>turn(face===null?(by>0?0:15):(face+by+16)%16);
function column(src,title,text='',commands=[]){
 const figure=document.createElement('figure'),view=document.createElement('div'),image=new Image(),
  caption=document.createElement('figcaption'),name=document.createElement('b');
 view.className='view';image.src=src;image.alt=`faces of ${title}`;view.append(image);
 view.onclick=e=>{const r=view.getBoundingClientRect();
  turn(face===null?4*Math.floor(4*(e.clientY-r.top)/r.height)+Math.floor(4*(e.clientX-r.left)/r.width):null)};
 name.textContent=title;caption.append(name,' ',text,...commands.map(command=>{
  const button=document.createElement('button');
  button.type='button';button.className='command';button.textContent=command;button.title='copy';
  button.onclick=()=>copy(button);return button}));
 figure.append(view,caption);return figure}
function copy(button){
 getSelection().selectAllChildren(button);
 navigator.clipboard?.writeText(button.textContent).then(()=>button.classList.add('copied'),()=>{})}
function compare(){
 const chosen=picked();
 if(!chosen.length)return;
 const snapshots=[...new Set(chosen.map(card=>card.dataset.snapshot))].filter(name=>sheets[name]);
 const kimg=name=>chosen.find(card=>card.dataset.snapshot==name).dataset.title.split(' at ')[0];
 $('columns').replaceChildren(
  ...sheets.base?[column(sheets.base,'original network')]:[],
  ...chosen.map(card=>column(picture(card),card.dataset.title,
   every('.score,.axes,.tag.fails',card).map(e=>e.textContent.trim()).join(' · '),
   [card.dataset.generate,card.dataset.caricature])),
  ...snapshots.map(name=>column(sheets[name],`fine-tuned, ${kimg(name)}`,'not blended')));
 turn(null);$('side').showModal()}

const peek=$('peek');
function look(mark){
 const card=cardOf(mark),at=mark.getBoundingClientRect();
 peek.querySelector('img').src=picture(card);
 peek.querySelector('p').textContent=mark.querySelector('title').textContent;
 peek.hidden=false;
 const size=peek.getBoundingClientRect(),right=at.right+12+size.width<innerWidth;
 peek.style.left=Math.max(right?at.right+12:at.left-12-size.width,8)+'px';
 peek.style.top=Math.min(Math.max(at.top-size.height/2,8),innerHeight-size.height-8)+'px'}
marks.forEach(mark=>{
 for(const kind of ['mouseenter','focus'])mark.addEventListener(kind,()=>look(mark));
 for(const kind of ['mouseleave','blur'])mark.addEventListener(kind,()=>{peek.hidden=true});
 mark.addEventListener('click',e=>{e.preventDefault();choose(cardOf(mark))})});

grid.addEventListener('change',show);
$('sort').addEventListener('change',sort);
$('passing')?.addEventListener('change',filter);
$('clear').onclick=()=>{cards.forEach(card=>{box(card).checked=false});show()};
$('compare').onclick=compare;$('close').onclick=()=>$('side').close();
$('all').onclick=()=>turn(null);$('before').onclick=()=>step(-1);$('after').onclick=()=>step(1);
addEventListener('keydown',e=>{
 if(e.ctrlKey||e.metaKey||e.altKey||e.target.matches('select'))return;
 const side={ArrowLeft:-1,ArrowRight:1}[e.key],far={ArrowUp:-1,ArrowDown:1}[e.key];
 if($('side').open){
  if(side){e.preventDefault();step(side)}
  else if(e.key=='a')turn(null);
  return}
 if(e.key=='c')compare();
 if(!e.target.matches('.pick')||!(side||far))return;
 const shown=cards.filter(card=>card.offsetParent),now=shown.indexOf(e.target.closest('figure'));
 const wide=shown.filter(card=>card.offsetTop==shown[0].offsetTop).length,next=shown[now+(side||far*wide)];
 e.preventDefault();
 if(next)box(next).focus()});
function arrive(){ // a link from the run's page to one blend
 const card=byId[decodeURIComponent(location.hash.slice(1))];
 if(card?.classList.contains('failing')&&$('passing'))$('passing').checked=false;
 filter();if(card){choose(card,true);card.scrollIntoView({block:'center'})}}
addEventListener('hashchange',arrive);
sort();arrive();show();
